package transport

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func queued(c Class, id byte) *buffer { return &buffer{class: c, b: []byte{id}} }

func TestQueueEvictsOldestOfHighestClass(t *testing.T) {
	for _, c := range []struct {
		name    string
		held    []Class
		push    Class
		evicted byte // index into held, or len(held) for the new one
	}{
		{"video for audio", []Class{0, 2, 1, 2}, 0, 1},
		{"video for video", []Class{0, 2, 1, 2}, 2, 1},
		{"RTCP when there is no video", []Class{0, 1, 1, 0}, 0, 1},
		{"audio when there is nothing else", []Class{0, 0, 0, 0}, 0, 0},
		{"the new one, if alone in the highest class", []Class{0, 1, 1, 0}, 2, 4},
		{"RTCP for RTCP", []Class{0, 0, 0, 1}, 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := sendQueue{limit: len(c.held)}
			for i, class := range c.held {
				if q.push(queued(class, byte(i))) != nil {
					t.Fatal("evicted before the queue is full")
				}
			}
			e := q.push(queued(c.push, byte(len(c.held))))
			if e == nil || e.b[0] != c.evicted || e.next != nil {
				t.Errorf("evicted %+v, want number %d", e, c.evicted)
			}
			if q.n != len(c.held) {
				t.Errorf("%d in the queue, want %d", q.n, len(c.held))
			}
		})
	}
}

// TestQueueModel compares the queue with slices.
func TestQueueModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := sendQueue{limit: rapid.IntRange(1, 9).Draw(t, "limit")}
		var model [NumClasses][]byte
		total := func() int { return len(model[0]) + len(model[1]) + len(model[2]) }
		for id := range byte(rapid.IntRange(0, 60).Draw(t, "steps")) {
			c := Class(rapid.IntRange(0, NumClasses-1).Draw(t, "class"))
			if rapid.Bool().Draw(t, "pop") {
				b := q.pop(c)
				if (b == nil) != (len(model[c]) == 0) {
					t.Fatalf("pop of class %d: %v, model %v", c, b, model)
				}
				if b != nil {
					if b.b[0] != model[c][0] {
						t.Fatalf("pop of class %d: %d, model %v", c, b.b[0], model)
					}
					model[c] = model[c][1:]
				}
				continue
			}
			model[c] = append(model[c], id)
			var want []byte
			if total() > q.limit {
				h := NumClasses - 1
				for len(model[h]) == 0 {
					h--
				}
				want = model[h][:1]
				model[h] = model[h][1:]
			}
			var got []byte
			if e := q.push(queued(c, id)); e != nil {
				got = e.b
			}
			if !slices.Equal(got, want) {
				t.Fatalf("push of %d evicts %v, want %v", id, got, want)
			}
			if q.n != total() {
				t.Fatalf("%d queued, want %d", q.n, total())
			}
		}
	})
}

func TestQueueExpired(t *testing.T) {
	now := time.Now()
	q := sendQueue{limit: 8}
	b := queued(1, 0)
	b.deadline = now
	q.push(b)
	q.push(queued(2, 1)) // no deadline
	if !q.expired(1, now) || q.expired(1, now.Add(-1)) || q.expired(2, now.Add(time.Hour)) || q.expired(0, now) {
		t.Error("expired is wrong")
	}
}

func TestBuffersAreReused(t *testing.T) {
	for _, n := range []int{1, smallBuffer, smallBuffer + 1, largeBuffer} {
		b := getBuffer(n)
		if cap(b.b) < n || len(b.b) != 0 {
			t.Errorf("getBuffer(%d): length %d, capacity %d", n, len(b.b), cap(b.b))
		}
		b.b = b.b[:n]
		b.deadline = time.Now()
		b.release()
		if len(b.b) != 0 || !b.deadline.IsZero() {
			t.Error("a released buffer is not clean")
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("releasing a queued buffer does not panic")
		}
	}()
	(&buffer{next: &buffer{}}).release()
}

func TestHeldPackets(t *testing.T) {
	start := time.Now()
	numbers := func(ps []heldPacket) (n []byte) {
		for _, p := range ps {
			n = append(n, p.b[0])
		}
		return n
	}
	t.Run("per flow", func(t *testing.T) {
		var h heldPackets
		dropped := 0
		for i := range byte(maxHeldPerFlow + 3) {
			dropped += h.add(1, []byte{i}, start)
		}
		if got := numbers(h.take(1)); dropped != 3 || len(got) != maxHeldPerFlow || got[0] != 3 {
			t.Errorf("dropped %d, kept %v", dropped, got)
		}
	})
	t.Run("flows", func(t *testing.T) {
		var h heldPackets
		dropped := 0
		for i := range byte(maxHeldFlows + 1) {
			dropped += h.add(uint64(i), []byte{i}, start)
			dropped += h.add(uint64(i), []byte{i}, start)
		}
		if dropped != 2 || h.take(0) != nil || len(h.take(1)) != 2 || len(h.take(maxHeldFlows)) != 2 {
			t.Errorf("dropped %d; the oldest flow should go, whole", dropped)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		var h heldPackets
		dropped := 0
		for i := range byte(17) {
			dropped += h.add(uint64(i%4), append([]byte{i}, make([]byte, 4095)...), start)
		}
		if dropped != 1 || h.bytes != maxHeldBytes || numbers(h.take(0))[0] != 4 {
			t.Errorf("dropped %d, %d bytes kept", dropped, h.bytes)
		}
		if h.add(9, make([]byte, maxHeldBytes+1), start) != 1 {
			t.Error("a packet above the bound is kept")
		}
	})
	t.Run("time", func(t *testing.T) {
		var h heldPackets
		h.add(1, []byte{1}, start)
		h.add(1, []byte{2}, start.Add(time.Second))
		if n := h.expire(start.Add(maxHeldTime + 1)); n != 1 {
			t.Errorf("%d expired, want 1", n)
		}
		if got := numbers(h.take(1)); len(got) != 1 || got[0] != 2 {
			t.Errorf("kept %v", got)
		}
		if h.packets != nil || h.perFlow != nil || h.bytes != 0 {
			t.Error("an empty buffer holds memory")
		}
	})
}
