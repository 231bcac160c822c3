package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
)

// TestVoicesWaitForOneAnother: what several talkers say within the window goes
// to a receiver at once, when all have come who talked a frame before and no later
// than the window is long, and each hears all but themselves.
func TestVoicesWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		talkers, sinks := fanOutWith(t, 10, ServerConfig{Voices: 3})
		seq := byte(0)
		say := func(talker int) {
			p := voicePacket(t, talkers[talker].ssrc, []byte{0x78, seq})
			p[3] += seq
			talkers[talker].forward(p, time.Now())
			synctest.Wait()
		}
		rounds := 0
		for ; rounds < 5; rounds++ {
			for i := range 3 {
				say(i)
				if sent, _ := sinks[0].count(); i < 2 && sent != 3*rounds {
					t.Fatalf("%d packets left before the last of round %d", sent, rounds)
				}
				time.Sleep(time.Millisecond)
			}
			time.Sleep(500 * time.Microsecond) // in the first round nobody in particular is expected
			synctest.Wait()
			for i, s := range sinks {
				if sent, batches := s.count(); sent != 3*(rounds+1) || batches != rounds+1 {
					t.Fatalf("receiver %d got %d packets in %d batches in round %d", i, sent, batches, rounds)
				}
			}
			seq++
			time.Sleep(frameTime - 3500*time.Microsecond)
		}
		// A talker gets the others' two.
		k := (*talkers[0].owner.session.Load()).(*sink)
		if sent, batches := k.count(); sent != 10 || batches != 5 {
			t.Errorf("a talker got %d packets in %d batches", sent, batches)
		}
		// One of them does not come: the others wait until it is half a window late.
		say(0)
		say(1)
		time.Sleep(4400 * time.Microsecond) // it was due after 2 ms
		if sent, _ := sinks[0].count(); sent != 3*rounds {
			t.Errorf("%d packets left while one was expected", sent-3*rounds)
		}
		time.Sleep(200 * time.Microsecond)
		synctest.Wait()
		if sent, batches := sinks[0].count(); sent != 3*rounds+2 || batches != rounds+1 {
			t.Errorf("%d packets in %d batches left after it", sent-3*rounds, batches-rounds)
		}
		// And in the next frame they do not.
		seq++
		time.Sleep(frameTime - 4600*time.Microsecond)
		say(0)
		say(1)
		if sent, batches := sinks[0].count(); sent != 3*rounds+4 || batches != rounds+2 {
			t.Errorf("%d packets in %d batches left without it", sent-3*rounds, batches-rounds)
		}
	})
}

// TestLoudestVoicesAreHeard: of more voices than a room hears at a time those
// with the most are heard, and what is left out is no gap in the numbers.
func TestLoudestVoicesAreHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		talkers, sinks := fanOutWith(t, 2, ServerConfig{Voices: 2, BundleWindow: -1})
		say := func(i int, seq uint16, level byte) (heard bool, out rtp.Packet) {
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: audioPayloadType, SequenceNumber: seq, Timestamp: uint32(seq) * 960, SSRC: talkers[i].ssrc}, Payload: []byte{0x78, 1, 2}}
			p.SetExtension(levelExtension, []byte{0x80 | level})
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			before := sinks[0].sent
			talkers[i].forward(b, time.Now())
			if sinks[0].sent > before {
				if err := out.Unmarshal(sinks[0].last); err != nil {
					t.Fatal(err)
				}
				return true, out
			}
			return false, out
		}
		var last uint16
		for seq := range uint16(20) { // two talk, the third is drowned
			for i, level := range []byte{20, 20, 22} {
				heard, out := say(i, seq, level)
				if heard != (i < 2) {
					t.Fatalf("packet %d of voice %d: heard %v", seq, i, heard)
				}
				if i == 0 {
					last = out.SequenceNumber
				}
			}
			time.Sleep(frameTime)
		}
		// The first falls silent; after the pause of a word the third is heard.
		next := -1
		for seq := uint16(20); seq < 60 && next < 0; seq++ {
			say(0, seq, 127)
			say(1, seq, 20)
			if heard, out := say(2, seq, 22); heard {
				next = int(seq)
				if !out.Marker || out.SequenceNumber != 0 {
					t.Errorf("it begins with %d, marker %v; want the first of a talk spurt, and no gap", out.SequenceNumber, out.Marker)
				}
			}
			time.Sleep(frameTime)
		}
		if next < 28 || next > 45 {
			t.Errorf("heard from packet %d on, want 8 to 20 after the other's last word", next)
		}
		// And the first, when it has a place again, goes on where it was.
		heard, out := say(0, uint16(next+1), 0)
		for seq := uint16(next + 2); !heard && seq < 120; seq++ {
			time.Sleep(frameTime)
			say(1, seq, 127)
			say(2, seq, 22)
			heard, out = say(0, seq, 0)
		}
		if !heard || int16(out.SequenceNumber-last) > 25 {
			t.Errorf("the first voice: heard %v, goes on with %d after %d", heard, out.SequenceNumber, last)
		}
	})
}

// TestWindowAllocatesNothing: collecting what three say and sending it to twenty
// takes no memory.
func TestWindowAllocatesNothing(t *testing.T) {
	talkers, sinks := fanOutWith(t, 20, ServerConfig{Voices: 3})
	w := talkers[0].call.room.window
	w.tick.remove() // the test is the clock
	packet := voicePacket(t, 7, make([]byte, 80))
	begun, deadline := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	round := func() {
		for _, tr := range talkers[:3] {
			if !w.hold(tr, packet, deadline, begun) {
				t.Fatal("no room for a packet")
			}
		}
		w.run(0, deadline)
	}
	round()
	round()
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Errorf("%v allocations for three packets to 23", n)
	}
	if sent, _ := sinks[19].count(); sent < 600 {
		t.Errorf("%d packets came", sent)
	}
}
