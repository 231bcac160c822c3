package transport

import (
	"context"
	"errors"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
)

const (
	// maxLargeSends is how many packets that do not fit a datagram may be on
	// their way to streams at once.
	maxLargeSends = 8
	// largeSendTime is how long one without a deadline may take.
	largeSendTime = 2 * time.Second

	// While something waits that the gate holds back, the writer looks again
	// after firstLook, then after twice that, up to lastLook.
	firstLook = time.Millisecond
	lastLook  = 5 * time.Millisecond
)

func (s *session) Send(p Packet) error {
	if err := s.checkPacket(&p); err != nil {
		return err
	}
	var list fifo
	list.push(p.buffer())
	return s.enqueue(&list)
}

func (s *session) SendBatch(packets []Packet) error {
	var list fifo
	var wrong error
	for i := range packets {
		if wrong = s.checkPacket(&packets[i]); wrong != nil {
			break
		}
		list.push(packets[i].buffer())
	}
	if err := s.enqueue(&list); err != nil {
		return err
	}
	return wrong
}

// validFlow reports whether a flow may have the identifier. That of bundles may
// where there are none.
func (s *session) validFlow(id uint64) bool {
	return id <= roq.MaxFlowID && (id != roq.BundleFlow || s.plain)
}

func (s *session) checkPacket(p *Packet) error {
	switch {
	case len(p.Payload) == 0 || len(p.Payload) > MaxStreamPacketSize:
		return ErrPacketSize
	case p.Class >= NumClasses:
		return ErrClass
	case !s.validFlow(p.Flow):
		return ErrFlowID
	}
	return nil
}

// buffer is the packet as a datagram.
func (p *Packet) buffer() *buffer {
	n := roq.FlowIDLen(p.Flow)
	b := getBuffer(n + len(p.Payload))
	b.b = append(roq.AppendFlowID(b.b, p.Flow), p.Payload...)
	b.flowLen, b.class, b.deadline, b.packets = n, p.Class, p.Deadline, 1
	if roq.IsRTCP(p.Payload) {
		b.rtcp, b.rtcpSize = 1, len(p.Payload)
	} else {
		b.rtp = len(p.Payload)
	}
	return b
}

// enqueue moves a list's buffers to the queue, and sees that they are written.
func (s *session) enqueue(list *fifo) error {
	if list.n == 0 {
		return nil
	}
	var evicted fifo
	urgent := list.head.class < NumClasses-1 // video lets control messages go first
	s.qmu.Lock()
	if s.ended() {
		s.qmu.Unlock()
		for b := list.pop(); b != nil; b = list.pop() {
			b.release()
		}
		return ErrClosed
	}
	for b := list.pop(); b != nil; b = list.pop() {
		if e := s.queue.push(b); e != nil {
			evicted.push(e)
		}
	}
	wake := s.sleeping
	s.sleeping = false
	s.qmu.Unlock()

	for b := evicted.pop(); b != nil; b = evicted.pop() {
		s.dropSend(DropQueueFull, b.class)
		b.release()
	}
	switch {
	case wake && urgent:
		s.writeNow()
	case wake:
		s.wakeWriter()
	}
	return nil
}

// writeNow writes what is in the queue, if the backend does not block, which one that
// is prompt does not behind a gate: that saves the switch to another goroutine for each
// datagram. It is called when the writer sleeps; what is not soon done is left to it.
func (s *session) writeNow() {
	const soon = 4 // datagrams
	if s.gate == nil || !s.link.prompt() || !s.writing.TryLock() {
		s.wakeWriter()
		return
	}
	wake := true
	for range soon {
		if s.gate.forgotten > 0 {
			break
		}
		b, blocked := s.next()
		if b == nil {
			wake = blocked
			break
		}
		s.transmit(b)
	}
	s.writing.Unlock()
	if wake {
		s.wakeWriter()
	}
}

func (s *session) Waiting(c Class) (packets int, deadline time.Time) {
	if c >= NumClasses {
		return 0, time.Time{}
	}
	s.qmu.Lock()
	defer s.qmu.Unlock()
	q := &s.queue.class[c]
	if q.head != nil {
		deadline = q.head.deadline
	}
	return q.n, deadline
}

func (s *session) SetBundles(on bool) { s.bundles.Store(on && !s.plain) }

func (s *session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// writeLoop hands to the backend what writeNow does not.
func (s *session) writeLoop() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	delay := firstLook
	for {
		s.writing.Lock()
		b, blocked := s.next()
		if b != nil {
			s.transmit(b)
		}
		s.writing.Unlock()
		switch {
		case b != nil:
			delay = firstLook
			if s.ended() {
				return
			}
		case blocked:
			timer.Reset(delay)
			delay = min(2*delay, lastLook)
			select {
			case <-timer.C:
			case <-s.wake:
			case <-s.done:
				return
			}
		default:
			delay = firstLook
			select {
			case <-s.wake:
			case <-s.done:
				return
			}
		}
	}
}

// next takes the packet to send now from the queue, and drops those that came
// too late. Without one, blocked says that some wait behind the gate.
func (s *session) next() (b *buffer, blocked bool) {
	now := time.Now()
	if s.gate != nil {
		s.gate.look(now, s.link.stats())
	}
	s.qmu.Lock()
	for c := range Class(NumClasses) {
		for s.queue.expired(c, now) {
			late := s.queue.pop(c)
			s.dropSend(DropExpired, c)
			late.release()
		}
		if s.queue.class[c].n == 0 {
			continue
		}
		if c == NumClasses-1 && s.control.busy(s.gate, now) || s.gate != nil && !s.gate.open(c) {
			blocked = true
			continue
		}
		b = s.queue.pop(c)
		if s.bundles.Load() {
			b = s.bundle(b, now)
		}
		break
	}
	s.sleeping = b == nil
	s.qmu.Unlock()
	return b, blocked
}

// maxBundle is how large a bundle may become: the datagram of a packet of
// MaxPacketSize, which every path carries.
const maxBundle = MaxPacketSize + 1

// bundle puts what waits in b's class into one datagram with b, in order, as
// long as it fits. qmu is held.
func (s *session) bundle(b *buffer, now time.Time) *buffer {
	q := &s.queue.class[b.class]
	size := roq.BundleHeaderLen + roq.BundledLen(len(b.b))
	if q.head == nil || size+roq.BundledLen(len(q.head.b)) > maxBundle {
		return b
	}
	all := getBuffer(largeBuffer)
	all.b = roq.AppendBundled(roq.AppendBundle(all.b), b.b)
	all.class, all.deadline, all.packets = b.class, b.deadline, 1
	all.rtp, all.rtcp, all.rtcpSize = b.rtp, b.rtcp, b.rtcpSize
	b.release()
	for next := q.head; next != nil && len(all.b)+roq.BundledLen(len(next.b)) <= maxBundle; next = q.head {
		s.queue.pop(all.class)
		if next.late(now) {
			s.dropSend(DropExpired, next.class)
		} else {
			all.b = roq.AppendBundled(all.b, next.b)
			all.packets++
			all.rtp, all.rtcp, all.rtcpSize = all.rtp+next.rtp, all.rtcp+next.rtcp, all.rtcpSize+next.rtcpSize
		}
		next.release()
	}
	return all
}

// transmit hands one datagram over. It releases b.
func (s *session) transmit(b *buffer) {
	if s.gate != nil {
		s.gate.handed(time.Now(), len(b.b), b.class)
	}
	err := s.link.sendDatagram(b.b)
	switch {
	case err == nil:
		s.counters.sent(b)
	case errors.Is(err, errTooLarge) && b.flowLen == 0:
		s.unbundle(b)
	case errors.Is(err, errTooLarge):
		if s.gate != nil {
			s.gate.refused()
		}
		s.sendLarge(b)
		return
	default:
		for range b.packets {
			s.dropSend(DropClosed, b.class)
		}
		s.check(err)
	}
	b.release()
}

// unbundle hands a bundle's packets over one by one, on a path whose datagrams
// are smaller than they ought to be.
func (s *session) unbundle(b *buffer) {
	if s.gate != nil {
		s.gate.refused()
	}
	for items := b.b[roq.BundleHeaderLen:]; len(items) > 0; {
		flow, packet, rest, err := roq.NextBundled(items)
		if err != nil {
			return
		}
		items = rest
		p := Packet{Flow: flow, Class: b.class, Deadline: b.deadline, Payload: packet}
		s.transmit(p.buffer())
	}
}

// sendLarge sends a packet on a stream of its own, from a goroutine of its own
// as opening one may block. It releases b.
func (s *session) sendLarge(b *buffer) {
	if s.large.Add(1) > maxLargeSends {
		s.large.Add(-1)
		s.dropSend(DropTooLarge, b.class)
		b.release()
		return
	}
	s.workers.start(func() {
		defer b.release()
		defer s.large.Add(-1)
		deadline, reason := b.deadline, DropExpired
		if deadline.IsZero() {
			deadline, reason = time.Now().Add(largeSendTime), DropTooLarge
		}
		ctx, cancel := context.WithDeadline(s.ctx, deadline)
		defer cancel()
		err := s.writeLarge(ctx, b, deadline)
		switch {
		case err == nil:
			s.counters.sent(b)
		case s.ended():
			s.dropSend(DropClosed, b.class)
		default:
			s.dropSend(reason, b.class)
			s.log.Debug("transport: large packet not sent", "bytes", len(b.b), "err", err)
		}
	})
}

func (s *session) writeLarge(ctx context.Context, b *buffer, deadline time.Time) error {
	st, err := s.link.openUni(ctx)
	if err != nil {
		return s.check(err)
	}
	packet := b.b[b.flowLen:]
	msg := make([]byte, 0, b.flowLen+roq.StreamPacketLen(len(packet)))
	msg = append(msg, b.b[:b.flowLen]...)
	msg = roq.AppendStreamPacket(msg, packet)
	if err := st.SetWriteDeadline(deadline); err != nil {
		return s.check(err)
	}
	if _, err := st.Write(msg); err != nil {
		st.cancelWrite(roq.FrameCancelled)
		return s.check(err)
	}
	return st.Close()
}

// dropQueue empties the queue of a session that has ended.
func (s *session) dropQueue() {
	s.qmu.Lock()
	defer s.qmu.Unlock()
	for c := range Class(NumClasses) {
		for b := s.queue.pop(c); b != nil; b = s.queue.pop(c) {
			s.dropSend(DropClosed, c)
			b.release()
		}
	}
}

// A flowStream is a FlowStream over any backend's stream.
type flowStream struct {
	s       *session
	st      sendStream
	flow    uint64
	started bool
	buf     []byte
}

func (s *session) OpenFlowStream(ctx context.Context, flow uint64) (FlowStream, error) {
	if !s.validFlow(flow) {
		return nil, ErrFlowID
	}
	if s.ended() {
		return nil, ErrClosed
	}
	st, err := s.link.openUni(ctx)
	if err != nil {
		err = s.check(err)
		if s.ended() {
			return nil, ErrClosed
		}
		return nil, err
	}
	return &flowStream{s: s, st: st, flow: flow}, nil
}

func (f *flowStream) WritePacket(packet []byte) error {
	if len(packet) == 0 || len(packet) > MaxStreamPacketSize {
		return ErrPacketSize
	}
	f.buf = f.buf[:0]
	if !f.started {
		f.buf = roq.AppendFlowID(f.buf, f.flow)
	}
	f.buf = roq.AppendStreamPacket(f.buf, packet)
	if err := f.flush(); err != nil {
		return err
	}
	c := &f.s.counters
	if roq.IsRTCP(packet) {
		c.sentRTCP.add(1, len(packet))
	} else {
		c.sentRTP[NumClasses-1].add(1, len(packet))
	}
	return nil
}

func (f *flowStream) flush() error {
	if _, err := f.st.Write(f.buf); err != nil {
		err = f.s.check(err)
		if f.s.ended() {
			return ErrClosed
		}
		return err
	}
	f.started = true
	return nil
}

func (f *flowStream) Close() error {
	if !f.started { // a stream without a packet still says whose it is
		f.buf = roq.AppendFlowID(f.buf[:0], f.flow)
		if err := f.flush(); err != nil {
			return err
		}
	}
	if err := f.s.check(f.st.Close()); err != nil {
		if f.s.ended() {
			return ErrClosed
		}
		return err
	}
	return nil
}

func (f *flowStream) Cancel() { f.st.cancelWrite(roq.FrameCancelled) }
