package engine

import (
	"runtime"
	"sync"
	"testing"
)

// One has the turn at a time, and every packet is counted once, whoever takes the
// counts meanwhile.
func TestTurn(t *testing.T) {
	var tr turn
	if !tr.begin() || tr.begin() {
		t.Error("not one at a time")
	}
	tr.end(0)
	if packets, bytes := tr.take(); packets != 0 || bytes != 0 {
		t.Errorf("a refused packet counts as %d, with %d bytes", packets, bytes)
	}

	var packets, bytes uint64
	in := 0 // races are the detector's
	var wg sync.WaitGroup
	for range 2 { // as two sessions of one track
		wg.Go(func() {
			for n := 0; n < 1000; runtime.Gosched() {
				if tr.begin() {
					in++
					n++
					tr.end(100)
				}
			}
		})
	}
	stop := make(chan struct{})
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for {
			p, b := tr.take()
			packets, bytes = packets+p, bytes+b
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-taken
	p, b := tr.take()
	packets, bytes = packets+p, bytes+b
	if packets != 2000 || bytes != 200_000 || in != 2000 {
		t.Errorf("%d packets and %d bytes counted, and %d turns", packets, bytes, in)
	}
}

// A track whose counts nobody takes goes on all the same.
func TestTurnIsNeverFull(t *testing.T) {
	var tr turn
	tr.word.Store(turnFull - turnPacket)
	for range 3 {
		if !tr.begin() {
			t.Fatal("its turn never comes again")
		}
		tr.end(100)
	}
}
