//go:build unix

package audio

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program puts a shell script under a name on an otherwise empty PATH, which
// keeps cat, sleep and echo for the script.
func program(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nPATH=/bin:/usr/bin\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

func rawFile(t *testing.T, pcm []int16) string {
	var raw []byte
	for _, v := range pcm {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(v))
	}
	return write(t, "raw", raw)
}

func TestMicrophone(t *testing.T) {
	pcm := make([]int16, 4*BlockSamples)
	for i := range pcm {
		pcm[i] = int16(i - 1000)
	}
	program(t, "arecord", "cat "+rawFile(t, pcm)+"; exec sleep 100")
	m, err := OpenMicrophone()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // two calls
		ctx, cancel := context.WithCancel(t.Context())
		got := make([]int16, 960)
		for at := 0; at < len(pcm); at += len(got) {
			if err := m.ReadPCM(ctx, got); err != nil {
				t.Fatal(err)
			}
			if got[0] != pcm[at] || got[959] != pcm[at+959] {
				t.Errorf("at %d: %d to %d", at, got[0], got[959])
			}
		}
		end := time.AfterFunc(10*time.Millisecond, cancel)
		if err := m.ReadPCM(ctx, got); err != context.Canceled {
			t.Errorf("after the end of the call: %v", err)
		}
		end.Stop()
		cancel()
		for range m.blocks { // closed when the program has ended
		}
	}
}

func TestMicrophoneFails(t *testing.T) {
	program(t, "rec", "echo one >&2; echo no sound card >&2; exit 1")
	m, err := OpenMicrophone()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.ReadPCM(t.Context(), make([]int16, 960)); err == nil || !strings.HasSuffix(err.Error(), "rec ended: no sound card") {
			t.Errorf("got %v", err)
		}
	}
}

func TestLoudspeaker(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	program(t, "aplay", "exec cat > "+out)
	l, err := OpenLoudspeaker()
	if err != nil {
		t.Fatal(err)
	}
	for i := range int16(3) {
		if err := l.Write([]int16{i, -1}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	got, err := os.ReadFile(out)
	if err != nil || string(got) != "\x00\x00\xff\xff\x01\x00\xff\xff\x02\x00\xff\xff" {
		t.Errorf("played % x: %v", got, err)
	}
}

func TestLoudspeakerFails(t *testing.T) {
	program(t, "play", "exec <&-; echo no sound card >&2; exit 1")
	l, err := OpenLoudspeaker()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 1000000 { // a pipe takes some before it breaks
		if err = l.Write(make([]int16, 480)); err != nil {
			break
		}
	}
	if err == nil || !strings.HasSuffix(err.Error(), "play ended: no sound card") {
		t.Errorf("got %v", err)
	}
}

func TestNoDevice(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := OpenMicrophone()
	if !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "alsa-utils") {
		t.Errorf("microphone: %v", err)
	}
	if _, err := OpenLoudspeaker(); !errors.Is(err, ErrNoDevice) {
		t.Errorf("loudspeaker: %v", err)
	}
}
