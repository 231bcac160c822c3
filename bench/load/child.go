package load

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// role is the environment variable that makes a program one of Run's children;
// setup holds the configuration.
const (
	role  = "EARSHOT_LOAD_ROLE"
	setup = "EARSHOT_LOAD_CONFIG"
)

// Child does the work of one of Run's children, and does not return, if this
// process is one. Programs that call Run call it first.
func Child() {
	var err error
	switch os.Getenv(role) {
	case "":
		return
	case "server":
		err = serverChild()
	case "calibration":
		err = calibrateChild()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", os.Getenv(role)+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A Process is this program again, for another part of a measurement. It is
// asked by a line, and answers with a line of JSON; it ends when its input does.
// One goroutine uses it.
type Process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// StartProcess starts this program with more in its environment, in the form
// "key=value", by which it knows what it is. It is killed when ctx ends.
func StartProcess(ctx context.Context, env ...string) (*Process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{cmd, in, bufio.NewReader(out)}, nil
}

// Read reads an answer.
func (p *Process) Read(v any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("load: a process of the measurement ended: %w", err)
	}
	return json.Unmarshal(line, v)
}

// Ask asks and reads the answer.
func (p *Process) Ask(line string, v any) error {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return err
	}
	return p.Read(v)
}

// Close ends the process, and waits until it has ended, for ten seconds before
// it is killed.
func (p *Process) Close() {
	p.in.Close()
	late := time.AfterFunc(10*time.Second, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	p.cmd.Wait()
}
