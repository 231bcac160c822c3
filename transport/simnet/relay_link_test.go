package simnet

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// upload sends numbered packets of size bytes, a few at a time, and returns
// the numbers that arrive, in order.
func (w *relayed) upload(packets, size int) (got []uint32) {
	w.t.Helper()
	p, in := make([]byte, size), make([]byte, 1<<16)
	before := w.Stats().Up
	for i := range packets {
		binary.BigEndian.PutUint32(p, uint32(i))
		if _, err := w.client.Write(p); err != nil {
			w.t.Fatal(err)
		}
		if (i+1)%100 != 0 && i+1 != packets { // what a socket's buffer holds in any case
			continue
		}
		s := w.settled(before.Sent + uint64(i) + 1)
		for uint64(len(got)) < s.Delivered-before.Delivered {
			w.target.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := w.target.Read(in)
			if err != nil || n != size {
				w.t.Fatalf("got %d bytes, %v", n, err)
			}
			got = append(got, binary.BigEndian.Uint32(in))
		}
	}
	return got
}

// overtaken counts the packets that come before one sent earlier.
func overtaken(got []uint32) (n int) {
	for i := range got[1:] {
		if got[i+1] < got[i] {
			n++
		}
	}
	return n
}

func TestRelayLoss(t *testing.T) {
	t.Parallel()
	const packets = 4000
	for name, link := range map[string]Link{"loss": {Loss: 0.1}, "bursts": {Burst: Bursts(0.1, 4)}} {
		w := relay(t, RelayConfig{Up: link, Seed: 1})
		got := w.upload(packets, 60)
		bursts, next := 0, uint32(0)
		for _, n := range got {
			if n > next {
				bursts++
			}
			next = n + 1
		}
		lost := packets - len(got)
		within := 4 * math.Sqrt(0.1*0.9/packets)
		reason := DropLoss
		if name == "bursts" {
			reason = DropBurst
			within *= 3 // a burst is one event
			near(t, "burst length", float64(lost)/float64(bursts), 4, 1)
		}
		near(t, name, float64(lost)/packets, 0.1, within)
		if s := w.Stats().Up; s.Dropped[reason] != uint64(lost) || s.DroppedTotal() != uint64(lost) || s.Sent != packets {
			t.Errorf("%s: %d lost, counted %+v", name, lost, s)
		}
	}
}

// With one seed the same packets are lost, whatever the other direction does.
func TestRelaySeed(t *testing.T) {
	t.Parallel()
	lossy := Link{Loss: 0.3, Duplicate: 0.1}
	first := relay(t, RelayConfig{Up: lossy, Seed: 7}).upload(200, 60)
	if again := relay(t, RelayConfig{Up: lossy, Down: Link{Loss: 1}, Seed: 7}).upload(200, 60); !slices.Equal(first, again) {
		t.Error("a second relay with the same seed loses others")
	}
	if other := relay(t, RelayConfig{Up: lossy, Seed: 8}).upload(200, 60); slices.Equal(first, other) {
		t.Error("another seed loses the same")
	}
}

// A line of 1 Mbit/s takes 8 ms for each packet of 1000 bytes, and 100 ms hold
// 13 of them.
func TestRelayRate(t *testing.T) {
	t.Parallel()
	w := relay(t, RelayConfig{Up: Link{Rate: 1_000_000, QueueTime: 100 * ms}})
	start := time.Now()
	p := make([]byte, 1000-headerBytes)
	for range 60 {
		w.client.Write(p)
	}
	eventually(t, "all came in", func() bool { return w.Stats().Up.Sent == 60 })
	s := w.Stats().Up
	spent := time.Since(start)
	if spent < 50*ms && (s.QueueTime < 50*ms || s.QueueBytes < 6000) {
		t.Errorf("after %v there wait %v and %d bytes", spent, s.QueueTime, s.QueueBytes)
	}
	s = w.settled(60)
	for i := range int(s.Delivered) {
		get(t, w.target)
		if took := time.Since(start); took < time.Duration(i+1)*8*ms {
			t.Errorf("packet %d came after %v", i, took)
		}
	}
	// While they come in, the line works some off.
	if most := 14 + uint64(spent/(8*ms)); s.Delivered < 13 || s.Delivered > most {
		t.Errorf("%d came, want 13 to %d", s.Delivered, most)
	}
	if s.Dropped[DropQueue]+s.Delivered != 60 {
		t.Errorf("counted %+v", s)
	}
	// QueueBytes, and a rate that changes.
	if err := w.SetLinks(Link{Rate: 500_000, QueueBytes: 3500}, Link{}); err != nil {
		t.Fatal(err)
	}
	before := w.settled(60)
	for range 40 {
		w.client.Write(p)
	}
	after := w.settled(100)
	if n := after.Delivered - before.Delivered; n < 3 || n == 40 {
		t.Errorf("%d of 40 came through a queue of 3500 bytes", n)
	}
	for range after.Delivered - before.Delivered {
		get(t, w.target)
	}
	nothing(t, w.target)
}

func TestRelayOrder(t *testing.T) {
	t.Parallel()
	const packets = 300
	w := relay(t, RelayConfig{Up: Link{Jitter: 10 * ms}, Seed: 1})
	if n := overtaken(w.upload(packets, 60)); n != 0 {
		t.Errorf("%d packets overtook others", n)
	}
	for name, link := range map[string]Link{
		"jitter": {Jitter: 10 * ms, JitterReorders: true},
		"some":   {Reorder: 0.2, ReorderDelay: 5 * ms},
	} {
		if err := w.SetLinks(link, Link{}); err != nil {
			t.Fatal(err)
		}
		got := w.upload(packets, 60)
		if n := overtaken(got); len(got) != packets || n == 0 {
			t.Errorf("%s: %d packets came, %d overtook others", name, len(got), n)
		}
	}
	near(t, "reordered", share(w.Stats().Up.Reordered, packets), 0.2, 0.1)
}

func TestRelayDuplicate(t *testing.T) {
	t.Parallel()
	w := relay(t, RelayConfig{Up: Link{Duplicate: 1}})
	got := w.upload(50, 60)
	if len(got) != 100 || w.Stats().Up.Duplicated != 50 {
		t.Errorf("%d came of 50 that are doubled", len(got))
	}
}

func TestRelayMTU(t *testing.T) {
	t.Parallel()
	w := relay(t, RelayConfig{Up: Link{MTU: 1200}})
	sizes := []int{0, 1, 1200, 1201, 9000, 65507}
	for _, size := range sizes {
		put(t, w.client, strings.Repeat("x", size))
	}
	for _, want := range sizes[:3] {
		if p, _ := get(t, w.target); len(p) != want {
			t.Errorf("got %d bytes, want %d", len(p), want)
		}
	}
	if s := w.settled(6); s.Dropped[DropMTU] != 3 {
		t.Errorf("counted %+v", s)
	}
	if err := w.SetLinks(Link{}, Link{}); err != nil {
		t.Fatal(err)
	}
	put(t, w.client, strings.Repeat("x", 65507))
	if p, _ := get(t, w.target); len(p) != 65507 {
		t.Errorf("got %d bytes of UDP's largest packet", len(p))
	}
}
