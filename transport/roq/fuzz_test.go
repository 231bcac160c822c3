package roq

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func FuzzParseFlowID(f *testing.F) {
	for _, c := range flowIDs {
		f.Add(unhex(f, c.wire+wireRTP))
	}
	f.Add([]byte{})
	f.Add([]byte{0xc0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		flow, n, err := ParseFlowID(b)
		if err != nil {
			if n != 0 || len(b) >= MaxFlowIDLen {
				t.Fatalf("n %d and %v for %x", n, err, b)
			}
			return
		}
		if n < FlowIDLen(flow) || n > len(b) || flow > MaxFlowID {
			t.Fatalf("flow %d in %d bytes of %x", flow, n, b)
		}
		if again, _, err := ParseFlowID(AppendFlowID(nil, flow)); again != flow || err != nil {
			t.Fatalf("flow %d came back as %d, %v", flow, again, err)
		}
		if CheckPacket(b[n:]) == nil && len(b[n:]) < 12 && !IsRTCP(b[n:]) {
			t.Fatalf("%x passes for RTP", b[n:])
		}
	})
}

func FuzzBundle(f *testing.F) {
	whole := AppendBundle(nil)
	for _, c := range flowIDs[1:] {
		whole = AppendBundled(whole, unhex(f, c.wire+wireRTP))
	}
	f.Add(whole[BundleHeaderLen:])
	f.Add(AppendBundled(nil, whole))
	f.Add(whole[BundleHeaderLen : len(whole)-3])
	f.Add([]byte{0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, items []byte) {
		total := 0
		for rest := items; len(rest) > 0; {
			flow, packet, next, err := NextBundled(rest)
			if err != nil {
				if err != ErrBundle {
					t.Fatal(err)
				}
				return
			}
			if flow == BundleFlow || len(packet) == 0 || len(next) >= len(rest) {
				t.Fatalf("flow %d, %d bytes, %d left of %d", flow, len(packet), len(next), len(rest))
			}
			total += len(packet)
			rest = next
		}
		if total > len(items) {
			t.Fatalf("%d bytes out of %d", total, len(items))
		}
	})
}

func FuzzStreamReader(f *testing.F) {
	for _, s := range []string{"", "02", "020f" + wireRTP, "020f" + wireRTP + "08" + wireRR, "80000002400f" + wireRTP,
		"0200", "02ffffffffffffffff00", "020f80", "4000" + "8000000f" + wireVP8, "0240", "02800" + "0ffff"} {
		f.Add(unhex(f, s), 100)
	}
	f.Fuzz(func(t *testing.T, wire []byte, limit int) {
		limit &= 0xffff
		s := NewStreamReader(bytes.NewReader(wire), limit)
		flow, err := s.ReadFlowID()
		again := []byte(nil)
		if err == nil {
			again = AppendFlowID(again, flow)
		}
		total, buf := 0, make([]byte, 0, 32)
		for err == nil {
			var p []byte
			if p, err = s.ReadPacket(buf); err != nil {
				break
			}
			if len(p) == 0 || (limit > 0 && len(p) > limit) {
				t.Fatalf("a packet of %d bytes, the limit is %d", len(p), limit)
			}
			total += len(p)
			again = AppendStreamPacket(again, p)
		}
		if total > len(wire) || len(again) > len(wire) {
			t.Fatalf("%d bytes of packets out of %d", total, len(wire))
		}
		var format *FormatError
		switch {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		case errors.As(err, &format):
		default:
			t.Fatalf("unexpected error %v", err)
		}
	})
}
