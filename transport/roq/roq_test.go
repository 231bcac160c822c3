package roq

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The rows with names are the examples of RFC 9000, appendix A.1.
var flowIDs = []struct {
	name     string
	wire     string
	flow     uint64
	shortest bool
}{
	{"A.1 eight bytes", "c2197c5eff14e88c", 151288809941952652, true},
	{"A.1 four bytes", "9d7f3e7d", 494878333, true},
	{"A.1 two bytes", "7bbd", 15293, true},
	{"A.1 one byte", "25", 37, true},
	{"A.1 one byte in two", "4025", 37, false},
	{"", "80000025", 37, false},
	{"", "c000000000000025", 37, false},
	{"", "00", 0, true},
	{"", "3f", 63, true},
	{"", "4040", 64, true},
	{"", "7fff", 16383, true},
	{"", "80004000", 16384, true},
	{"", "bfffffff", 1<<30 - 1, true},
	{"", "c000000040000000", 1 << 30, true},
	{"", "ffffffffffffffff", MaxFlowID, true},
}

func TestFlowID(t *testing.T) {
	for _, c := range flowIDs {
		wire := unhex(t, c.wire)
		flow, n, err := ParseFlowID(append(slices.Clone(wire), 0xaa, 0xbb))
		if err != nil || flow != c.flow || n != len(wire) {
			t.Errorf("ParseFlowID(%s) = %d, %d, %v; want %d, %d", c.wire, flow, n, err, c.flow, len(wire))
		}
		for cut := range wire {
			if _, n, err := ParseFlowID(wire[:cut]); !errors.Is(err, ErrFlowID) || n != 0 {
				t.Errorf("ParseFlowID(%x) = n %d, %v; want ErrFlowID", wire[:cut], n, err)
			}
		}
		if !c.shortest {
			continue
		}
		if got := AppendFlowID([]byte{1}, c.flow); !bytes.Equal(got, append([]byte{1}, wire...)) {
			t.Errorf("AppendFlowID(%d) = %x, want 01%s", c.flow, got, c.wire)
		}
		if got := FlowIDLen(c.flow); got != len(wire) {
			t.Errorf("FlowIDLen(%d) = %d, want %d", c.flow, got, len(wire))
		}
	}
}

func TestAppendFlowIDPanics(t *testing.T) {
	for _, flow := range []uint64{MaxFlowID + 1, math.MaxUint64} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AppendFlowID(%d) did not panic", flow)
				}
			}()
			AppendFlowID(nil, flow)
		}()
	}
}

// Packets as other implementations put them on the wire, written down from
// the draft's figures of datagrams and streams, and from RFC 3550.
const (
	// V=2, PT 111, sequence 4660, timestamp 960, SSRC 0xcafebabe, payload f8fffe.
	wireRTP = "806f1234000003c0cafebabef8fffe"
	// An empty receiver report: V=2, RC=0, PT 201, length 1, SSRC.
	wireRR = "80c90001cafebabe"
	// The marker bit set with payload type 96: 0xe0, just above RTCP's range.
	wireVP8 = "80e00001000015f90badf00d10"
)

func TestDatagram(t *testing.T) {
	for _, c := range []struct {
		wire   string
		flow   uint64
		packet string
		rtcp   bool
	}{
		{"01" + wireRTP, 1, wireRTP, false},
		{"01" + wireRR, 1, wireRR, true},
		{"4001" + wireRTP, 1, wireRTP, false}, // a longer form is as good
		{"c000000000000001" + wireRR, 1, wireRR, true},
		{"5000" + wireVP8, 4096, wireVP8, false},
	} {
		wire, want := unhex(t, c.wire), unhex(t, c.packet)
		flow, n, err := ParseFlowID(wire)
		if err != nil || flow != c.flow || !bytes.Equal(wire[n:], want) {
			t.Errorf("%s: flow %d, packet %x, %v", c.wire, flow, wire[n:], err)
		}
		if err := CheckPacket(wire[n:]); err != nil {
			t.Errorf("%s: %v", c.wire, err)
		}
		if got := IsRTCP(wire[n:]); got != c.rtcp {
			t.Errorf("%s: IsRTCP is %v", c.wire, got)
		}
	}
}

func TestIsRTCP(t *testing.T) {
	for b := range 256 {
		want := b >= 192 && b <= 223
		if got := IsRTCP([]byte{0x80, byte(b)}); got != want {
			t.Errorf("second byte %d: IsRTCP is %v", b, got)
		}
	}
	if IsRTCP(nil) || IsRTCP([]byte{0x80}) {
		t.Error("a packet with no second byte is RTCP")
	}
}

func TestCheckPacket(t *testing.T) {
	for _, c := range []struct {
		name, packet string
		ok           bool
	}{
		{"RTP", wireRTP, true},
		{"RTP, header only", wireRTP[:24], true},
		{"RTP, a byte short", wireRTP[:22], false},
		{"RR", wireRR, true},
		{"BYE of nobody", "80cb0000", true},
		{"RTCP, a byte short", "80cb00", false},
		{"version 1", "40" + wireRTP[2:], false},
		{"version 3", "c0" + wireRTP[2:], false},
		{"version 0, as STUN has", "00010000", false},
		{"empty", "", false},
	} {
		err := CheckPacket(unhex(t, c.packet))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && !errors.Is(err, ErrNotRTP) {
			t.Errorf("%s: %v is not ErrNotRTP", c.name, err)
		}
	}
}

func TestFormatErrorsCarryTheDraftsCode(t *testing.T) {
	for _, err := range []error{ErrFlowID, ErrPacketSize, ErrNotRTP} {
		var f *FormatError
		if !errors.As(err, &f) || f.Code != PacketError {
			t.Errorf("%v has no code PacketError", err)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	// Draft 14, the registry of error codes.
	for code, value := range map[ErrorCode]uint64{NoError: 0, GeneralError: 1, InternalError: 2, PacketError: 3,
		StreamCreation: 4, FrameCancelled: 5, UnknownFlowID: 6, ExpectationUnmet: 7} {
		if uint64(code) != value {
			t.Errorf("%v is %#x, want %#x", code, uint64(code), value)
		}
	}
	if got := ErrorCode(0x123).String(); got != "error 0x123" {
		t.Errorf("an application code is %q", got)
	}
}

func TestPlainALPNs(t *testing.T) {
	want := []string{"roq-14", "roq-13", "roq-12", "roq-11", "roq-10"}
	if got := PlainALPNs(); !slices.Equal(got, want) {
		t.Errorf("PlainALPNs is %q", got)
	}
	PlainALPNs()[0] = "mine"
	if PlainALPNs()[0] != ALPN14 {
		t.Error("PlainALPNs shares its slice")
	}
}

func TestStream(t *testing.T) {
	big := bytes.Repeat([]byte{0x80}, 5000)
	bigWire := "5388" + hex.EncodeToString(big) // 0x4000 | 5000
	for _, c := range []struct {
		name, wire string
		flow       uint64
		packets    []string
		end        error // what ReadPacket or ReadFlowID says at last
	}{
		{"one packet", "020f" + wireRTP, 2, []string{wireRTP}, io.EOF},
		{"two packets, RTP and RTCP", "020f" + wireRTP + "08" + wireRR, 2, []string{wireRTP, wireRR}, io.EOF},
		{"long forms", "80000002400f" + wireRTP + "8000000f" + wireRTP + "c00000000000000f" + wireRTP, 2,
			[]string{wireRTP, wireRTP, wireRTP}, io.EOF},
		{"no packet", "02", 2, nil, io.EOF},
		{"larger than the buffer", "02" + bigWire, 2, []string{hex.EncodeToString(big)}, io.EOF},
		{"empty stream", "", 0, nil, io.EOF},
		{"flow cut short", "80", 0, nil, io.ErrUnexpectedEOF},
		{"length cut short", "0240", 2, nil, io.ErrUnexpectedEOF},
		{"no byte of the packet", "020f", 2, nil, io.ErrUnexpectedEOF},
		{"packet cut short", "020f" + wireRTP[:20], 2, nil, io.ErrUnexpectedEOF},
		{"large packet cut at its buffer's end", "02" + bigWire[:4+2*64], 2, nil, io.ErrUnexpectedEOF},
		{"second packet cut short", "020f" + wireRTP + "0f80", 2, []string{wireRTP}, io.ErrUnexpectedEOF},
		{"length zero", "0200", 2, nil, ErrPacketSize},
		{"length above the limit", "025389" + hex.EncodeToString(big) + "00", 2, nil, ErrPacketSize},
		{"length of 2^62-1", "02ffffffffffffffff" + wireRTP, 2, nil, ErrPacketSize},
	} {
		wire := unhex(t, c.wire)
		for _, r := range []io.Reader{bytes.NewReader(wire), iotest.OneByteReader(bytes.NewReader(wire)),
			iotest.DataErrReader(bytes.NewReader(wire))} {
			s := NewStreamReader(r, len(big))
			flow, err := s.ReadFlowID()
			if flow != c.flow {
				t.Errorf("%s: flow %d, %v", c.name, flow, err)
			}
			var got []string
			for err == nil {
				var p []byte
				if p, err = s.ReadPacket(make([]byte, 0, 64)); err == nil {
					got = append(got, hex.EncodeToString(p))
				}
			}
			if !slices.Equal(got, c.packets) {
				t.Errorf("%s: packets %q", c.name, got)
			}
			if !errors.Is(err, c.end) || (c.end == io.EOF && err != io.EOF) {
				t.Errorf("%s: ends with %v, want %v", c.name, err, c.end)
			}
			if _, again := s.ReadPacket(nil); again != err {
				t.Errorf("%s: ReadPacket again gives %v, after %v", c.name, again, err)
			}
		}
	}
}

func TestStreamReaderErrorPasses(t *testing.T) {
	broken := errors.New("broken")
	s := NewStreamReader(io.MultiReader(bytes.NewReader(unhex(t, "020f8080")), iotest.ErrReader(broken)), 0)
	if _, err := s.ReadPacket(nil); err != broken {
		t.Errorf("ReadPacket: %v, want the reader's own error", err)
	}
}

func TestStreamReaderBelievesNoLength(t *testing.T) {
	// A length of 65535 and nothing behind it must not cost 64 KB.
	wire := unhex(t, "028000ffff")
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if _, err := NewStreamReader(bytes.NewReader(wire), 0).ReadPacket(nil); err == nil {
			t.Fatal("a packet out of nothing")
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 4096 {
		t.Errorf("%d bytes allocated for a packet that never came", n)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flow := rapid.Uint64Max(MaxFlowID).Draw(t, "flow")
		packets := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 1, 20000)).Draw(t, "packets")
		b := AppendFlowID(nil, flow)
		if len(b) != FlowIDLen(flow) {
			t.Fatalf("flow %d takes %d bytes, FlowIDLen says %d", flow, len(b), FlowIDLen(flow))
		}
		for _, p := range packets {
			before := len(b)
			b = AppendStreamPacket(b, p)
			if len(b)-before != StreamPacketLen(len(p)) {
				t.Fatalf("a packet of %d takes %d bytes, StreamPacketLen says %d", len(p), len(b)-before, StreamPacketLen(len(p)))
			}
		}
		s := NewStreamReader(bytes.NewReader(b), 20000)
		if got, err := s.ReadFlowID(); got != flow || err != nil {
			t.Fatalf("flow %d, %v; want %d", got, err, flow)
		}
		buf := make([]byte, 0, 1200)
		for i, p := range packets {
			got, err := s.ReadPacket(buf)
			if err != nil || !bytes.Equal(got, p) {
				t.Fatalf("packet %d: %x, %v; want %x", i, got, err, p)
			}
		}
		if _, err := s.ReadPacket(buf); err != io.EOF {
			t.Fatalf("at the end: %v", err)
		}
	})
}

func TestAllocations(t *testing.T) {
	packet := unhex(t, wireRTP)
	b := make([]byte, 0, 2000)
	wire := AppendFlowID(nil, 7)
	for range 10 {
		wire = AppendStreamPacket(wire, packet)
	}
	r, buf := bytes.NewReader(wire), make([]byte, 0, 1500)
	s := NewStreamReader(r, 1500)
	if n := testing.AllocsPerRun(100, func() {
		b = AppendStreamPacket(AppendFlowID(b[:0], 70), packet)
		flow, k, err := ParseFlowID(b)
		if flow != 70 || err != nil || CheckPacket(b[k+1:]) != nil || IsRTCP(b[k+1:]) {
			t.Fatal("wrong datagram")
		}
		r.Reset(wire)
		s.Reset(r, 1500)
		for {
			if _, err := s.ReadPacket(buf); err != nil {
				break
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
