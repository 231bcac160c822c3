package engine

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/transport"
)

// RTCP between the room and a foreign endpoint. The room's is about tracks, on
// one flow; the endpoint's is on the flow of the stream that it is about
// (draft-ietf-avtcore-rtp-over-quic-14, RFC 5761).

// A foreign endpoint may send feedbackRate RTCP packets a second.
const (
	feedbackRate  = 100
	feedbackBurst = 100
)

// receiveRTCP takes the endpoint's RTCP and hands the room what it asks for:
// key frames, and packets that it lost.
func (st *stranger) receiveRTCP(packet []byte, arrival time.Time) {
	if !st.feedback.AllowN(arrival, 1) {
		st.counters.feedbackDropped.Add(1)
		return
	}
	packets, err := rtcp.Unmarshal(packet)
	if err != nil {
		st.counters.malformed.Add(1)
		return
	}
	st.counters.feedback.Add(1)
	var pass []rtcp.Packet
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.TransportLayerNack:
			pass = append(pass, p)
		case *rtcp.FullIntraRequest: // RFC 5104 section 4.3.1: its media are in the entries
			for _, e := range p.FIR {
				pass = append(pass, &rtcp.PictureLossIndication{SenderSSRC: p.SenderSSRC, MediaSSRC: e.SSRC})
			}
		case *rtcp.SenderReport:
			st.noteReport(p, arrival)
		}
	}
	if len(pass) == 0 {
		return
	}
	out, err := rtcp.Marshal(pass)
	if err != nil {
		return
	}
	st.mu.Lock()
	h := st.onRTCP
	st.mu.Unlock()
	if h != nil {
		h(out, arrival)
	}
}

// noteReport remembers a sender report, for ours to answer (RFC 3550 section
// 6.4.1, LSR).
func (st *stranger) noteReport(sr *rtcp.SenderReport, arrival time.Time) {
	for _, in := range st.ins {
		if ssrc, _, ok := in.knownSource(); ok && ssrc == sr.SSRC && in.mu.TryLock() {
			in.rx.lastReport, in.rx.reportAt = uint32(sr.NTPTime>>16), arrival
			in.mu.Unlock()
		}
	}
}

// forwardRTCP sends the endpoint what the room wants of it. Server.mu may be
// held, so it takes no lock that a host's hook may run under.
func (st *stranger) forwardRTCP(p transport.Packet) {
	packets, err := rtcp.Unmarshal(p.Payload)
	if err != nil {
		return
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication:
			if in := st.streamOf(p.MediaSSRC); in != nil {
				st.askKeyFrame(in)
			}
		case *rtcp.FullIntraRequest:
			for _, e := range p.FIR {
				if in := st.streamOf(e.SSRC); in != nil {
					st.askKeyFrame(in)
				}
			}
		case *rtcp.TransportLayerNack:
			st.askAgain(p)
		case *rtcp.SenderReport:
			for _, o := range *st.outs.Load() {
				if o.ssrc == p.SSRC && o.flow != 0 {
					st.sendRTCP(o.flow, p.SSRC, p)
				}
			}
		}
	}
}

// streamOf is the stream that the room knows by an SSRC.
func (st *stranger) streamOf(ssrc uint32) *inStream {
	for _, in := range st.ins {
		if in.track.Load() == uint64(ssrc)|1<<32 {
			return in
		}
	}
	return nil
}

// askKeyFrame sends a PLI (RFC 4585 section 6.3.1), at once or when the
// endpoint's SSRC is known.
func (st *stranger) askKeyFrame(in *inStream) {
	ssrc, _, ok := in.knownSource()
	if !ok {
		in.wantKey.Store(true)
		if ssrc, _, ok = in.knownSource(); !ok || !in.wantKey.Swap(false) {
			return
		}
	}
	st.sendRTCP(in.Flow, st.ssrc, &rtcp.ReceiverReport{SSRC: st.ssrc}, &rtcp.PictureLossIndication{SenderSSRC: st.ssrc, MediaSSRC: ssrc})
}

// askAgain passes a NACK on (RFC 4585 section 6.2.1).
func (st *stranger) askAgain(n *rtcp.TransportLayerNack) {
	in := st.streamOf(n.MediaSSRC)
	if in == nil {
		return
	}
	ssrc, off, ok := in.knownSource()
	if !ok {
		return
	}
	out := &rtcp.TransportLayerNack{SenderSSRC: st.ssrc, MediaSSRC: ssrc}
	for _, pair := range n.Nacks {
		pair.PacketID -= off
		out.Nacks = append(out.Nacks, pair)
	}
	st.sendRTCP(in.Flow, st.ssrc, &rtcp.ReceiverReport{SSRC: st.ssrc}, out)
}

// sendRTCP sends a compound packet: a report first, then who speaks, then the
// rest (RFC 3550 section 6.1).
func (st *stranger) sendRTCP(flow uint64, ssrc uint32, report rtcp.Packet, rest ...rtcp.Packet) {
	who := &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: st.cname}},
	}}}
	b, err := rtcp.Marshal(append([]rtcp.Packet{report, who}, rest...))
	if err != nil {
		st.srv.log.Error("cannot encode RTCP", "err", err)
		return
	}
	st.sess.Send(transport.Packet{Flow: flow, Class: classRTCP, Payload: b})
}

// report sends receiver reports on the streams that the endpoint sends, or an
// empty one if it sends nothing.
func (st *stranger) report() {
	sent := false
	for _, in := range st.ins {
		if !in.mu.TryLock() { // a hook may be at work
			continue
		}
		block, ok := in.rx.report(in.ssrc, time.Now())
		in.mu.Unlock()
		if ok {
			sent = true
			st.sendRTCP(in.Flow, st.ssrc, &rtcp.ReceiverReport{SSRC: st.ssrc, Reports: []rtcp.ReceptionReport{block}})
		}
	}
	if sent {
		return
	}
	flow := uint64(0)
	switch a := st.answer; {
	case len(a.Sends) > 0:
		flow = a.Sends[0].Flow
	case a.Audio != nil:
		flow = a.Audio.Flow
	default:
		flow = a.Video.Flow
	}
	st.sendRTCP(flow, st.ssrc, &rtcp.ReceiverReport{SSRC: st.ssrc})
}

// A reception counts one source's packets, for receiver reports (RFC 3550
// appendix A.3 and A.8).
type reception struct {
	any                         bool
	base, highest               uint32 // extended sequence numbers
	received                    uint32
	expectedBefore, heardBefore uint32
	transit                     int32
	jitter                      float64
	lastReport                  uint32
	reportAt                    time.Time
}

func (r *reception) note(seq uint16, ts uint32, arrival time.Time, clockRate uint32) {
	rate := int64(clockRate)
	transit := int32(uint32(arrival.Unix()*rate+int64(arrival.Nanosecond())*rate/1e9) - ts)
	if !r.any {
		*r = reception{any: true, base: uint32(seq), highest: uint32(seq), transit: transit}
	}
	if d := int16(seq - uint16(r.highest)); d > 0 {
		r.highest += uint32(d)
	}
	r.received++
	d := float64(transit - r.transit)
	r.transit = transit
	r.jitter += (max(d, -d) - r.jitter) / 16
}

// report makes the block on a source since the last one; ok is false if nothing
// of it came since.
func (r *reception) report(ssrc uint32, now time.Time) (block rtcp.ReceptionReport, ok bool) {
	if !r.any || r.received == r.heardBefore {
		return block, false
	}
	expected := r.highest - r.base + 1
	lost := max(0, int64(expected)-int64(r.received))
	block = rtcp.ReceptionReport{
		SSRC: ssrc, TotalLost: uint32(min(lost, 1<<23-1)), LastSequenceNumber: r.highest,
		Jitter: uint32(r.jitter), LastSenderReport: r.lastReport,
	}
	if due, came := int64(expected)-int64(r.expectedBefore), int64(r.received)-int64(r.heardBefore); due > came && due > 0 {
		block.FractionLost = uint8(min((due-came)*256/due, 255))
	}
	r.expectedBefore, r.heardBefore = expected, r.received
	if !r.reportAt.IsZero() {
		block.Delay = uint32(now.Sub(r.reportAt) * 65536 / time.Second)
	}
	return block, true
}
