package transport

import (
	"slices"
	"time"
)

// A flow is an entry of the flow table. Its lock is a channel, so that who
// waits for a handler can give up when the session ends: that handler may be
// the one that is closing it.
type flow struct {
	lock    chan struct{} // holds a token while handler is used or changed
	handler PacketHandler // nil: removed
}

func newFlow() *flow { return &flow{lock: make(chan struct{}, 1)} }

// Bounds on what is kept of flows that signalling has not announced yet.
const (
	maxHeldFlows   = 16
	maxHeldPerFlow = 32
	maxHeldBytes   = 64 << 10
	maxHeldTime    = 2 * time.Second
	maxHeldStreams = 8
)

func (s *session) HandleFlow(id uint64, h PacketHandler) error {
	if !s.validFlow(id) {
		return ErrFlowID
	}
	s.fmu.Lock()
	if s.ended() {
		s.fmu.Unlock()
		return ErrClosed
	}
	f := s.flows[id]
	known := f != nil && f != removedFlow
	if !known {
		f = newFlow()
		f.lock <- struct{}{} // before anybody else sees it: what was kept goes first
		if s.flows == nil {
			s.flows = make(map[uint64]*flow)
		}
		s.flows[id] = f
	}
	now := time.Now()
	expired := s.held.expire(now)
	kept := s.held.take(id)
	s.wakeStreams(id)
	s.fmu.Unlock()
	s.counters.receiveDrops[DropUnknownFlow].Add(uint64(expired))

	if known {
		f.lock <- struct{}{}
	}
	f.handler = h
	if h != nil {
		for _, p := range kept {
			s.counters.mediaReceived.Add(1)
			h(p.b, p.arrival)
		}
	}
	<-f.lock
	return nil
}

// removedFlow stands for every flow that was removed.
var removedFlow = newFlow()

func (s *session) RemoveFlow(id uint64) {
	s.fmu.Lock()
	f := s.flows[id]
	if s.flows == nil {
		s.flows = make(map[uint64]*flow)
	}
	s.flows[id] = removedFlow
	s.counters.receiveDrops[DropUnknownFlow].Add(uint64(len(s.held.take(id))))
	s.wakeStreams(id)
	s.fmu.Unlock()
	if f == nil || f == removedFlow {
		return
	}
	f.lock <- struct{}{}
	f.handler = nil
	<-f.lock
}

// deliver hands a packet to its flow, or keeps it if nobody knows the flow.
func (s *session) deliver(id uint64, packet []byte, arrival time.Time) {
	s.fmu.RLock()
	f := s.flows[id]
	s.fmu.RUnlock()
	if f == nil {
		s.fmu.Lock()
		if f = s.flows[id]; f == nil {
			dropped := s.held.add(id, packet, arrival)
			s.fmu.Unlock()
			s.counters.receiveDrops[DropUnknownFlow].Add(uint64(dropped))
			return
		}
		s.fmu.Unlock()
	}
	s.handle(f, packet, arrival)
}

// handle calls the flow's handler. It reports whether the flow is still there.
func (s *session) handle(f *flow, packet []byte, arrival time.Time) bool {
	if f == removedFlow {
		s.dropReceived(DropUnknownFlow)
		return false
	}
	select {
	case f.lock <- struct{}{}:
	default:
		select {
		case f.lock <- struct{}{}:
		case <-s.done:
			return false
		}
	}
	ok := f.handler != nil && !s.ended()
	if ok {
		s.counters.mediaReceived.Add(1)
		f.handler(packet, arrival)
	} else {
		s.dropReceived(DropUnknownFlow)
	}
	<-f.lock
	return ok
}

// awaitFlow returns the flow of a stream. A stream of a flow that nobody
// announced yet waits for it unread, which costs no memory of ours; a few may,
// and for as long as packets are kept. Nil means that there is no such flow.
func (s *session) awaitFlow(id uint64) *flow {
	s.fmu.Lock()
	f := s.flows[id]
	if f != nil || s.waiting >= maxHeldStreams {
		s.fmu.Unlock()
		return live(f)
	}
	woken := make(chan struct{})
	if s.unknown == nil {
		s.unknown = make(map[uint64][]chan struct{})
	}
	s.unknown[id] = append(s.unknown[id], woken)
	s.waiting++
	s.fmu.Unlock()

	timer := time.NewTimer(maxHeldTime)
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	case <-s.done:
	}
	s.fmu.Lock()
	defer s.fmu.Unlock()
	if i := slices.Index(s.unknown[id], woken); i >= 0 {
		if s.unknown[id] = slices.Delete(s.unknown[id], i, i+1); len(s.unknown[id]) == 0 {
			delete(s.unknown, id)
		}
	}
	s.waiting--
	return live(s.flows[id])
}

func live(f *flow) *flow {
	if f == removedFlow {
		return nil
	}
	return f
}

// wakeStreams is called with fmu held.
func (s *session) wakeStreams(id uint64) {
	for _, c := range s.unknown[id] {
		close(c)
	}
	delete(s.unknown, id)
}

// heldPackets are the packets of flows that nobody announced yet, oldest
// first. When a bound is reached the oldest goes: of the flow, of all, or the
// whole flow that has waited longest.
type heldPackets struct {
	packets []heldPacket
	perFlow map[uint64]int
	bytes   int
}

type heldPacket struct {
	flow    uint64
	b       []byte
	arrival time.Time
}

// add keeps a copy of a packet, and returns how many had to go.
func (h *heldPackets) add(flow uint64, packet []byte, now time.Time) (dropped int) {
	if len(packet) > maxHeldBytes {
		return 1
	}
	dropped = h.expire(now)
	if h.perFlow[flow] >= maxHeldPerFlow {
		dropped += h.remove(func(p *heldPacket) bool { return p.flow == flow }, 1)
	} else if h.perFlow[flow] == 0 && len(h.perFlow) >= maxHeldFlows {
		oldest := h.packets[0].flow
		dropped += h.remove(func(p *heldPacket) bool { return p.flow == oldest }, maxHeldPerFlow)
	}
	for h.bytes+len(packet) > maxHeldBytes {
		dropped += h.remove(func(*heldPacket) bool { return true }, 1)
	}
	if h.perFlow == nil {
		h.perFlow = make(map[uint64]int)
	}
	h.perFlow[flow]++
	h.bytes += len(packet)
	h.packets = append(h.packets, heldPacket{flow, slices.Clone(packet), now})
	return dropped
}

// expire drops what is too old, and returns how many that were.
func (h *heldPackets) expire(now time.Time) int {
	return h.remove(func(p *heldPacket) bool { return now.Sub(p.arrival) > maxHeldTime }, len(h.packets))
}

// take removes and returns the packets of a flow.
func (h *heldPackets) take(flow uint64) []heldPacket {
	if h.perFlow[flow] == 0 {
		return nil
	}
	var taken []heldPacket
	for _, p := range h.packets {
		if p.flow == flow {
			taken = append(taken, p)
		}
	}
	h.remove(func(p *heldPacket) bool { return p.flow == flow }, len(h.packets))
	return taken
}

// remove removes the first limit packets that match.
func (h *heldPackets) remove(match func(*heldPacket) bool, limit int) (n int) {
	if len(h.packets) == 0 {
		return 0
	}
	h.packets = slices.DeleteFunc(h.packets, func(p heldPacket) bool {
		if n >= limit || !match(&p) {
			return false
		}
		n++
		h.bytes -= len(p.b)
		if h.perFlow[p.flow]--; h.perFlow[p.flow] == 0 {
			delete(h.perFlow, p.flow)
		}
		return true
	})
	if len(h.packets) == 0 {
		*h = heldPackets{} // give the memory back
	}
	return n
}
