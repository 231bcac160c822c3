package transporttest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

func pattern(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func controlOrder(e *env) {
	client, server := e.connect()
	if client.Control() != client.Control() {
		e.Error("Control returns a different stream each time")
	}
	const total = 600_000
	var wg sync.WaitGroup
	transfer := func(seed uint64, from, to transport.Session) {
		data := pattern(seed, total)
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 2))
			for rest := data; len(rest) > 0; {
				n := min(1+r.IntN(9000), len(rest))
				m, err := from.Control().Write(rest[:n])
				if err != nil || m != n {
					e.Errorf("Write = %d, %v, want %d", m, err, n)
					return
				}
				rest = rest[n:]
			}
		})
		wg.Go(func() {
			got := make([]byte, total)
			if _, err := io.ReadFull(to.Control(), got); err != nil {
				e.Errorf("Read: %v", err)
			} else if !bytes.Equal(got, data) {
				e.Error("other bytes arrived than were written")
			}
		})
	}
	transfer(1, client, server)
	transfer(2, server, client)
	wg.Wait()
}

func controlListenerWaits(e *env) {
	client, server := e.connect()
	wrote := make(chan error, 1)
	go func() {
		_, err := server.Control().Write([]byte("answer"))
		wrote <- err
	}()
	if _, err := client.Control().Write([]byte("hello")); err != nil {
		e.Fatal(err)
	}
	if err := await(e, "the listener's write", wrote); err != nil {
		e.Fatal(err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(client.Control(), got); err != nil || string(got) != "answer" {
		e.Errorf("read %q, %v", got, err)
	}
}

func controlWritesWhole(e *env) {
	client, server := e.connect()
	const writers, each, size = 8, 20, 3000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				if _, err := client.Control().Write(bytes.Repeat([]byte{byte('a' + w)}, size)); err != nil {
					e.Errorf("Write: %v", err)
				}
			}
		})
	}
	got := make([]byte, size)
	for range writers * each {
		if _, err := io.ReadFull(server.Control(), got); err != nil {
			e.Errorf("Read: %v", err)
			break
		}
		if bytes.Count(got, got[:1]) != size {
			e.Error("writes of two goroutines are mixed")
			break
		}
	}
	wg.Wait()
}

func controlHalfClose(e *env) {
	client, server := e.connect()
	closer, ok := client.Control().(interface{ CloseWrite() error })
	if !ok {
		e.Skip("its control stream has no CloseWrite")
	}
	if _, err := client.Control().Write([]byte("last words")); err != nil {
		e.Fatal(err)
	}
	if err := closer.CloseWrite(); err != nil {
		e.Fatalf("CloseWrite: %v", err)
	}
	got, err := io.ReadAll(server.Control())
	if err != nil || string(got) != "last words" {
		e.Fatalf("read %q, %v", got, err)
	}
	// The other direction goes on, and so does the session.
	if _, err := server.Control().Write([]byte("still here")); err != nil {
		e.Fatal(err)
	}
	buf := make([]byte, 10)
	if _, err := io.ReadFull(client.Control(), buf); err != nil || string(buf) != "still here" {
		e.Errorf("read %q, %v", buf, err)
	}
	if client.Err() != nil || server.Err() != nil {
		e.Errorf("the session ended: %v, %v", client.Err(), server.Err())
	}
}

func controlWriteDeadline(e *env) {
	client, server := e.connect()
	e.openControl(client, server)
	b := e.barrier(client, server)
	c := client.Control()
	if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		e.Fatal(err)
	}
	start := time.Now()
	_, err := c.Write(make([]byte, 4<<20)) // nobody reads
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		e.Fatalf("Write after its deadline: %v, want os.ErrDeadlineExceeded", err)
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		e.Errorf("%v is no timeout", err)
	}
	if d := time.Since(start); d < 40*time.Millisecond {
		e.Errorf("Write gave up after %v, before its deadline", d)
	}
	c.SetWriteDeadline(time.Time{})
	if _, err := c.Write([]byte("x")); err == nil {
		e.Error("Write after one that timed out is accepted")
	}
	b.pass() // media goes on
	if client.Err() != nil {
		e.Errorf("the session ended: %v", client.Err())
	}
}

// blockControl makes a Write of s block, because the peer does not read, and
// returns a function that waits for its end.
func (e *env) blockControl(s transport.Session) (result chan error) {
	result = make(chan error, 1)
	go func() {
		_, err := s.Control().Write(make([]byte, 4<<20))
		result <- err
	}()
	// While it is blocked video waits.
	e.eventually("a control write blocks", func() bool {
		e.send(s, transport.Packet{Flow: 59, Class: 2, Payload: rtp(20, 0)})
		return s.Stats().QueueDepth[2] > 3
	})
	return result
}

func controlBlockedWrite(e *env) {
	client, server := e.connect()
	e.openControl(client, server)
	b := e.barrier(client, server)
	result := e.blockControl(client)
	for range 20 {
		b.pass()
	}
	server.HandleFlow(58, func([]byte, time.Time) {})
	select {
	case err := <-result:
		e.Fatalf("Write returned %v though nobody reads", err)
	default:
	}
	go io.Copy(io.Discard, server.Control())
	if err := await(e, "the write to end once the peer reads", result); err != nil {
		e.Errorf("Write: %v", err)
	}
}

func controlEnds(e *env) {
	client, server := e.connect()
	e.openControl(client, server)
	read := make(chan error, 1)
	go func() {
		_, err := client.Control().Read(make([]byte, 1))
		read <- err
	}()
	write := e.blockControl(client)
	client.CloseWithError(0x123, "enough")
	check := func(what string, err error) {
		e.Helper()
		var ended *transport.Error
		if !errors.As(err, &ended) || ended.Code != 0x123 {
			e.Errorf("%s: %v, want the session's error", what, err)
		}
	}
	check("Read", await(e, "a blocked Read to return", read))
	check("Write", await(e, "a blocked Write to return", write))
	_, err := io.Copy(io.Discard, server.Control())
	check("Read of the other side", err)
	_, err = server.Control().Write([]byte("x"))
	check("Write of the other side", err)
}
