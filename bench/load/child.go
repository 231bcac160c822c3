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

// A child is one of the other processes. It is asked by a line, and answers
// with a line of JSON; it ends when its input does.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(ctx context.Context, what string, cfg Config) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	j, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), role+"="+what, setup+"="+string(j))
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
	return &child{cmd, in, bufio.NewReader(out)}, nil
}

// read reads an answer.
func (c *child) read(v any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("load: a process of the measurement ended: %w", err)
	}
	return json.Unmarshal(line, v)
}

// ask asks and reads the answer.
func (c *child) ask(line string, v any) error {
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		return err
	}
	return c.read(v)
}

// close ends the process.
func (c *child) close() {
	c.in.Close()
	late := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
	defer late.Stop()
	c.cmd.Wait()
}
