package transport

import (
	"errors"
	"io"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
)

// readDatagrams is the one reader of datagrams: it parses and hands on.
func (s *session) readDatagrams() {
	for {
		d, err := s.link.receiveDatagram(s.ctx)
		if err != nil {
			s.check(err)
			return
		}
		flow, n, err := roq.ParseFlowID(d)
		switch {
		case err != nil && s.plain:
			s.dropReceived(DropMalformed)
			s.end(&Error{Code: roq.PacketError, Reason: err.Error()})
			return
		case err == nil && flow == roq.BundleFlow && !s.plain:
			s.deliverBundle(d[n:], time.Now())
		case err != nil || roq.CheckPacket(d[n:]) != nil:
			s.dropReceived(DropMalformed)
		default:
			s.deliver(flow, d[n:], time.Now())
		}
	}
}

// deliverBundle hands on the packets of a bundle. What follows an item that is
// none is dropped.
func (s *session) deliverBundle(items []byte, arrival time.Time) {
	for len(items) > 0 {
		flow, packet, rest, err := roq.NextBundled(items)
		if err != nil {
			s.dropReceived(DropMalformed)
			return
		}
		items = rest
		if roq.CheckPacket(packet) != nil {
			s.dropReceived(DropMalformed)
			continue
		}
		s.deliver(flow, packet, arrival)
	}
}

// acceptUni accepts streams of packets. A stream holds a token while it is
// read, so a backend that does not bound its peer's streams is bounded here.
func (s *session) acceptUni() {
	tokens := make(chan struct{}, s.cfg.MaxStreams)
	for {
		select {
		case tokens <- struct{}{}:
		case <-s.done:
			return
		}
		st, err := s.link.acceptUni(s.ctx)
		if err != nil {
			s.check(err)
			return
		}
		s.workers.start(func() {
			defer func() { <-tokens }()
			s.readStream(st)
		})
	}
}

// acceptBidi accepts the control stream. RTP over QUIC knows no other
// bidirectional stream, and demands that one ends the connection.
func (s *session) acceptBidi() {
	for {
		st, err := s.link.acceptBidi(s.ctx)
		if err != nil {
			s.check(err)
			return
		}
		if s.dialer || s.plain || s.control.attached() {
			st.cancelRead(roq.StreamCreation)
			st.cancelWrite(roq.StreamCreation)
			s.end(&Error{Code: roq.StreamCreation, Reason: "unexpected bidirectional stream"})
			return
		}
		s.control.attach(st)
	}
}

// readStream reads the packets of one stream.
func (s *session) readStream(st receiveStream) {
	src := &sourceReader{r: st}
	r := roq.NewStreamReader(src, MaxStreamPacketSize)
	id, err := r.ReadFlowID()
	if err != nil {
		s.endStream(st, src, err)
		return
	}
	var f *flow
	if s.validFlow(id) {
		f = s.awaitFlow(id)
	}
	if f == nil {
		s.dropReceived(DropUnknownFlow)
		st.cancelRead(roq.UnknownFlowID)
		return
	}
	var buf []byte
	for {
		packet, err := r.ReadPacket(buf[:0])
		if err != nil {
			s.endStream(st, src, err)
			return
		}
		buf = packet
		switch {
		case roq.CheckPacket(packet) != nil:
			s.dropReceived(DropMalformed)
		case !s.handle(f, packet, time.Now()):
			st.cancelRead(roq.UnknownFlowID)
			return
		}
	}
}

// endStream deals with the error that ended a stream: bytes that are not RoQ
// end the session (draft 14, error code PacketError), a peer that changed its
// mind does not.
func (s *session) endStream(st receiveStream, src *sourceReader, err error) {
	switch {
	case errors.Is(err, roq.ErrPacketSize), errors.Is(err, io.ErrUnexpectedEOF):
		s.dropReceived(DropMalformed)
		st.cancelRead(roq.PacketError)
		s.end(&Error{Code: roq.PacketError, Reason: err.Error()})
	case src.err != nil && src.err != io.EOF:
		s.check(src.err)
	}
}

// A sourceReader keeps the error of the stream under a roq.StreamReader apart
// from those of the framing.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}
