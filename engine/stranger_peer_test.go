package engine_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

// A foreign endpoint is written on quic-go alone: its bytes are those of
// draft-ietf-avtcore-rtp-over-quic-14 and RFC 3550, spelled out here.
type foreign struct {
	*quic.Conn
	t  testing.TB
	mu sync.Mutex
	// got are the packets by flow, RTP and RTCP, as they came.
	rtp, rtcp map[int][][]byte
	changed   chan struct{}
	done      sync.WaitGroup
}

// dialForeign connects and collects what comes.
func dialForeign(t testing.TB, conn net.PacketConn, to net.Addr, name, alpn string) (*foreign, error) {
	t.Helper()
	tr := &quic.Transport{Conn: conn}
	t.Cleanup(func() { tr.Close(); conn.Close() })
	conf := &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: []string{alpn}}
	c, err := tr.Dial(t.Context(), to, conf, &quic.Config{EnableDatagrams: true, MaxIncomingUniStreams: 100, MaxIdleTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	f := &foreign{Conn: c, t: t, rtp: map[int][][]byte{}, rtcp: map[int][][]byte{}, changed: make(chan struct{})}
	f.done.Go(f.collectDatagrams)
	f.done.Go(f.collectStreams)
	t.Cleanup(func() { f.CloseWithError(0, ""); f.done.Wait() })
	return f, nil
}

// stranger dials a server on loopback.
func dialStranger(t testing.TB, srv *engine.Server, name string) *foreign {
	t.Helper()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	f, err := dialForeign(t, socket, srv.Addr(), name, "roq-14")
	must(t, err)
	return f
}

func (f *foreign) keep(flow int, packet []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	into := f.rtp
	if len(packet) > 1 && packet[1] >= 192 && packet[1] < 224 { // RFC 5761
		into = f.rtcp
	}
	into[flow] = append(into[flow], bytes.Clone(packet))
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *foreign) collectDatagrams() {
	for {
		d, err := f.ReceiveDatagram(context.Background())
		if err != nil {
			return
		}
		if d[0] >= 64 {
			f.t.Errorf("a flow identifier of more than one byte: % x", d[:8])
			continue
		}
		f.keep(int(d[0]), d[1:])
	}
}

func (f *foreign) collectStreams() {
	for {
		st, err := f.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		f.done.Go(func() {
			b, err := io.ReadAll(st)
			if err != nil || len(b) == 0 {
				return
			}
			flow, b := int(b[0]), b[1:]
			for len(b) > 1 {
				n, skip := int(b[0]), 1
				if b[0]>>6 == 1 {
					n, skip = int(b[0]&0x3f)<<8|int(b[1]), 2
				}
				f.keep(flow, b[skip:skip+n])
				b = b[skip+n:]
			}
		})
	}
}

// wait waits until cond is true, which is called with mu held.
func (f *foreign) wait(what string, cond func() bool) {
	f.t.Helper()
	late := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		ok, changed := cond(), f.changed
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-f.Context().Done():
			f.t.Fatalf("closed before %s: %v", what, context.Cause(f.Context()))
		case <-late:
			f.t.Fatalf("it did not come to pass: %s; %d flows with RTP, %d with RTCP", what, len(f.rtp), len(f.rtcp))
		}
	}
}

func (f *foreign) datagram(flow byte, packet []byte) {
	if err := f.SendDatagram(append([]byte{flow}, packet...)); err != nil && f.Context().Err() == nil {
		f.t.Error(err)
	}
}

// stream sends packets on a stream of their own.
func (f *foreign) stream(flow byte, packets ...[]byte) {
	st, err := f.OpenUniStreamSync(f.Context())
	if err != nil {
		f.t.Error(err)
		return
	}
	b := []byte{flow}
	for _, p := range packets {
		b = append(b, 0x40|byte(len(p)>>8), byte(len(p)))
		b = append(b, p...)
	}
	st.Write(b)
	st.Close()
}

// rtpOf is one RTP packet.
func rtpOf(pt byte, marker bool, seq uint16, ts, ssrc uint32, payload []byte) []byte {
	b := make([]byte, 12, 12+len(payload))
	b[0], b[1] = 0x80, pt
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return append(b, payload...)
}

func seqOf(p []byte) uint16  { return binary.BigEndian.Uint16(p[2:]) }
func tsOf(p []byte) uint32   { return binary.BigEndian.Uint32(p[4:]) }
func ssrcOf(p []byte) uint32 { return binary.BigEndian.Uint32(p[8:]) }

// vp8Packets are a frame in RTP payloads with the shortest descriptor of RFC
// 7741: its first byte says where a partition starts.
func vp8Packets(frame []byte) (out [][]byte) {
	for start := byte(0x10); len(frame) > 0; start = 0 {
		n := min(len(frame), 1000)
		out = append(out, append([]byte{start}, frame[:n]...))
		frame = frame[n:]
	}
	return out
}

// film sends a clip's frames for ever, from 90 kHz time 0, beginning anew with
// the first when it is asked for a key frame (PLI, RFC 4585).
func (f *foreign) film(ctx context.Context, flow, pt byte, ssrc uint32, how string) {
	clip, err := video.Frames(speech.VP8())
	must(f.t, err)
	seq, tick := uint16(65530), time.NewTicker(time.Second/15)
	defer tick.Stop()
	plis := 0
	for n, i := 0, 0; ; n, i = n+1, i+1 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if now := len(f.plis(int(flow), ssrc)); now > plis {
			plis, i = now, 0
		}
		var frame [][]byte
		parts := vp8Packets(clip[i%len(clip)].Data)
		for k, p := range parts {
			frame = append(frame, rtpOf(pt, k == len(parts)-1, seq, uint32(n*6000), ssrc, p))
			seq++
		}
		switch how {
		case "a stream for each frame":
			f.stream(flow, frame...)
		case "a stream for each packet":
			for _, p := range slices.Backward(frame) { // the worst order
				f.stream(flow, p)
			}
		default:
			for _, p := range frame {
				f.datagram(flow, p)
			}
		}
	}
}

// plis are the PLIs about an SSRC on a flow. A compound packet that does not
// begin with a report and a CNAME is an error (RFC 3550 section 6.1).
func (f *foreign) plis(flow int, ssrc uint32) (found [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.rtcp[flow] {
		for i := 0; len(b) >= 4; i++ {
			n := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
			if i == 0 && b[1] != 200 && b[1] != 201 || i == 1 && b[1] != 202 || n > len(b) {
				f.t.Errorf("RTCP: % x", b)
				break
			}
			if b[0] == 0x81 && b[1] == 206 && n == 12 && ssrcOf(b) == ssrc {
				found = append(found, b[:n])
			}
			b = b[n:]
		}
	}
	return found
}

// pliOf is a compound packet with a PLI: empty receiver report, PLI.
func pliOf(own, media uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, own)
	b = binary.BigEndian.AppendUint32(append(b, 0x81, 206, 0, 2), own)
	return binary.BigEndian.AppendUint32(b, media)
}

// speak sends Opus packets at their pace, and returns when all are sent.
func (f *foreign) speak(flow, pt byte, ssrc uint32, packets [][]byte, send func(flow byte, packet []byte)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i, p := range packets {
		<-tick.C
		send(flow, rtpOf(pt, i == 0, uint16(40000+i), uint32(1<<31+960*i), ssrc, p))
	}
}

// closedWith waits for the connection's end and returns the code and the words.
func (f *foreign) closedWith() (code uint64, words string) {
	f.t.Helper()
	select {
	case <-f.Context().Done():
	case <-time.After(30 * time.Second):
		f.t.Fatal("the connection is not closed")
	}
	var app *quic.ApplicationError
	if err := context.Cause(f.Context()); !errors.As(err, &app) || !app.Remote {
		f.t.Fatalf("closed with %v", err)
	}
	return uint64(app.ErrorCode), app.ErrorMessage
}
