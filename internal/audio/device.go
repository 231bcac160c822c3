package audio

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrNoDevice: the machine has none of the programs that reach a sound card.
var ErrNoDevice = errors.New("no program for sound devices found")

// The programs, the best first. All speak raw 48 kHz mono.
var (
	recorders = [][]string{
		{"parec", "--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=10"},
		{"arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1"},
		{"rec", "-q", "-t", "raw", "-e", "signed", "-b", "16", "-L", "-r", "48000", "-c", "1", "-"},
	}
	players = [][]string{
		{"pacat", "--playback", "--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20"},
		{"aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1"},
		{"play", "-q", "-t", "raw", "-e", "signed", "-b", "16", "-L", "-r", "48000", "-c", "1", "-"},
	}
)

// findProgram is the first of programs that the machine has.
func findProgram(programs [][]string) ([]string, error) {
	var names []string
	for _, p := range programs {
		if path, err := exec.LookPath(p[0]); err == nil {
			return append([]string{path}, p[1:]...), nil
		}
		names = append(names, p[0])
	}
	return nil, fmt.Errorf("%w (looked for %s): install pulseaudio-utils, alsa-utils or sox, or use files",
		ErrNoDevice, strings.Join(names, ", "))
}

// A Microphone is the machine's, through parec, arecord or rec. It implements
// engine.PCMSource: the program runs from the first read with a context to
// that context's end. One goroutine reads at a time.
type Microphone struct {
	command []string

	ctx    context.Context // of the program that runs
	blocks chan []int16    // bounded; the oldest goes first
	rest   []int16
	failed error // set before blocks is closed
}

// OpenMicrophone finds the program. Error: ErrNoDevice.
func OpenMicrophone() (*Microphone, error) {
	command, err := findProgram(recorders)
	if err != nil {
		return nil, err
	}
	return &Microphone{command: command}, nil
}

// maxWaiting is how many blocks of 10 ms wait for a reader.
const maxWaiting = 10

// ReadPCM fills pcm with what comes from the microphone.
func (m *Microphone) ReadPCM(ctx context.Context, pcm []int16) error {
	if m.ctx != ctx {
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	for len(pcm) > 0 {
		if len(m.rest) == 0 {
			select {
			case b, ok := <-m.blocks:
				if !ok {
					m.ctx = nil // the next read tries again
					return m.failed
				}
				m.rest = b
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		n := copy(pcm, m.rest)
		pcm, m.rest = pcm[n:], m.rest[n:]
	}
	return nil
}

func (m *Microphone) start(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, m.command[0], m.command[1:]...)
	cmd.WaitDelay = time.Second
	var words tail
	cmd.Stderr = &words
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	blocks := make(chan []int16, maxWaiting)
	m.ctx, m.blocks, m.rest = ctx, blocks, nil
	go func() {
		defer close(blocks)
		raw := make([]byte, 2*BlockSamples)
		for {
			if _, err := io.ReadFull(out, raw); err != nil {
				break
			}
			block := make([]int16, BlockSamples)
			for i := range block {
				block[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
			}
			select {
			case blocks <- block:
			default:
				select {
				case <-blocks:
				default:
				}
				blocks <- block // nobody else sends
			}
		}
		m.failed = words.explain(m.command[0], cmd.Wait())
	}()
	return nil
}

// A Loudspeaker is the machine's, through pacat, aplay or play. It is for one
// goroutine at a time.
type Loudspeaker struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	words tail
	raw   []byte
}

// OpenLoudspeaker starts the program. Error: ErrNoDevice, and what starting
// gives.
func OpenLoudspeaker() (*Loudspeaker, error) {
	command, err := findProgram(players)
	if err != nil {
		return nil, err
	}
	l := &Loudspeaker{name: command[0], cmd: exec.Command(command[0], command[1:]...)}
	l.cmd.Stderr = &l.words
	l.cmd.WaitDelay = time.Second
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	return l, nil
}

// Write plays pcm. It blocks while the program has enough.
func (l *Loudspeaker) Write(pcm []int16) error {
	l.raw = l.raw[:0]
	for _, v := range pcm {
		l.raw = binary.LittleEndian.AppendUint16(l.raw, uint16(v))
	}
	if _, err := l.in.Write(l.raw); err != nil {
		return l.words.explain(l.name, errors.Join(err, l.cmd.Wait()))
	}
	return nil
}

// Close lets the program play what it has, for a second at most, and ends it.
func (l *Loudspeaker) Close() error {
	l.in.Close()
	end := time.AfterFunc(time.Second, func() { l.cmd.Process.Kill() })
	defer end.Stop()
	l.cmd.Wait()
	return nil
}

// tail keeps the last line or so that a program complained with.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if n := len(t.b) - 300; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(b), nil
}

// explain makes an error of a program's end and its last words.
func (t *tail) explain(program string, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	program = filepath.Base(program)
	last := bytes.TrimSpace(t.b)
	if i := bytes.LastIndexByte(last, '\n'); i >= 0 {
		last = last[i+1:]
	}
	if len(last) > 0 {
		return fmt.Errorf("%s ended: %s", program, last)
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s ended: %w", program, err)
}
