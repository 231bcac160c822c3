package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

// A Calibration is what the machine takes for known work, in CPU time of one
// thread: means over the window.
type Calibration struct {
	SendRecv time.Duration // one sendto and one recvfrom of 100 bytes
	Encode   time.Duration // one libopus encode of 20 ms, see the package comment
	Decode   time.Duration // and one decode of it
}

// calibrate measures for a while: every 200 ms 512 packets in groups of 64, and
// 8 frames. It locks its thread.
func calibrate(d time.Duration) (c Calibration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return c, err
	}
	defer a.Close()
	b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return c, err
	}
	defer b.Close()
	b.SetReadBuffer(1 << 20)
	from, to, err := fds(a, b)
	if err != nil {
		return c, err
	}
	addr := b.LocalAddr().(*net.UDPAddr)
	dest := &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte{127, 0, 0, 1}}
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{Complexity: 4, Bitrate: 32000})
	if err != nil {
		return c, err
	}
	dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		return c, err
	}
	pcm := speech.PCM("alice")
	packet, buf := make([]byte, 100), make([]byte, 2048)
	coded, sound := make([]byte, 1500), make([]int16, codec.MaxFrameSamples)
	frame, rounds := 0, 0
	var udp, encode, decode time.Duration
	for end := time.Now().Add(d); rounds == 0 || time.Now().Before(end); rounds++ {
		for range 8 {
			t0 := threadTime()
			for range 64 {
				syscall.Sendto(from, packet, 0, dest)
			}
			for range 64 {
				if _, _, err := syscall.Recvfrom(to, buf, syscall.MSG_DONTWAIT); err != nil {
					break
				}
			}
			udp += threadTime() - t0
		}
		for range 8 {
			at := frame % (len(pcm)/960 - 1) * 960
			frame++
			t0 := threadTime()
			n, err := enc.Encode(pcm[at:at+960], coded)
			t1 := threadTime()
			if err != nil {
				return c, err
			}
			if _, err := dec.Decode(coded[:n], sound); err != nil {
				return c, err
			}
			decode += threadTime() - t1
			encode += t1 - t0
		}
		time.Sleep(200 * time.Millisecond)
	}
	n := time.Duration(rounds)
	return Calibration{SendRecv: udp / (512 * n), Encode: encode / (8 * n), Decode: decode / (8 * n)}, nil
}

func fds(a, b *net.UDPConn) (from, to int, err error) {
	for _, x := range []struct {
		c  *net.UDPConn
		fd *int
	}{{a, &from}, {b, &to}} {
		raw, err := x.c.SyscallConn()
		if err != nil {
			return 0, 0, err
		}
		if err := raw.Control(func(fd uintptr) { *x.fd = int(fd) }); err != nil {
			return 0, 0, err
		}
	}
	return from, to, nil
}

func threadTime() time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// Usage is what this process has used so far: user and system time, and its
// largest resident memory, in bytes, 0 where the system does not tell.
func Usage() (cpu time.Duration, peak int64) {
	var r unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), peakMemory()
}

// peakMemory is VmHWM, in bytes. What getrusage says is that of the program which
// started this one, if that was larger.
func peakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB int64
	fmt.Sscan(rest, &kB)
	return kB << 10
}

// A Calibrator is the calibration's process. One goroutine uses it.
type Calibrator struct{ p *Process }

// StartCalibrator starts it; it ends with ctx or Close. The program calls Child
// first.
func StartCalibrator(ctx context.Context) (*Calibrator, error) {
	p, err := StartProcess(ctx, role+"=calibration")
	if err != nil {
		return nil, err
	}
	return &Calibrator{p}, nil
}

// Measure measures for d, and at least once.
func (c *Calibrator) Measure(d time.Duration) (r Calibration, err error) {
	err = c.p.Ask(fmt.Sprint(int64(max(d, 1))), &r)
	return r, err
}

// Close ends the process.
func (c *Calibrator) Close() { c.p.Close() }

// calibrateChild is the calibration's process: for each line of input, a
// number of nanoseconds, it measures for so long and prints the result.
func calibrateChild() error {
	var d time.Duration
	for {
		if _, err := fmt.Scanln(&d); err != nil {
			return nil
		}
		c, err := calibrate(d)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(c); err != nil {
			return err
		}
	}
}
