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
	switch {
	case len(p.Payload) == 0 || len(p.Payload) > MaxStreamPacketSize:
		return ErrPacketSize
	case p.Class >= NumClasses:
		return ErrClass
	case p.Flow > roq.MaxFlowID:
		return ErrFlowID
	}
	n := roq.FlowIDLen(p.Flow)
	b := getBuffer(n + len(p.Payload))
	b.b = append(roq.AppendFlowID(b.b, p.Flow), p.Payload...)
	b.flowLen, b.class, b.deadline = n, p.Class, p.Deadline

	s.qmu.Lock()
	if s.ended() {
		s.qmu.Unlock()
		b.release()
		return ErrClosed
	}
	evicted := s.queue.push(b)
	wake := s.sleeping
	s.sleeping = false
	s.qmu.Unlock()

	if evicted != nil {
		s.dropSend(DropQueueFull, evicted.class)
		evicted.release()
	}
	if wake {
		s.wakeWriter()
	}
	return nil
}

func (s *session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// writeLoop is the one goroutine that hands datagrams to the backend.
func (s *session) writeLoop() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	delay := firstLook
	for {
		b, blocked := s.next()
		switch {
		case b != nil:
			delay = firstLook
			s.transmit(b)
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
		break
	}
	s.sleeping = b == nil
	s.qmu.Unlock()
	return b, blocked
}

// transmit hands one packet over. It releases b.
func (s *session) transmit(b *buffer) {
	if s.gate != nil {
		s.gate.handed(time.Now(), len(b.b), b.class)
	}
	err := s.link.sendDatagram(b.b)
	switch {
	case err == nil:
		s.counters.mediaSent.Add(1)
	case errors.Is(err, errTooLarge):
		if s.gate != nil {
			s.gate.refused()
		}
		s.sendLarge(b)
		return
	default:
		s.dropSend(DropClosed, b.class)
		s.check(err)
	}
	b.release()
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
			s.counters.mediaSent.Add(1)
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
	if flow > roq.MaxFlowID {
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
	f.s.counters.mediaSent.Add(1)
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
