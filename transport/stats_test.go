package transport

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
)

// What was sent is counted by class, RTCP apart, whether it went alone or in a
// bundle; what was dropped by class and reason.
func TestTrafficIsCountedByClass(t *testing.T) {
	for _, bundles := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			link := newFakeLink()
			link.hold = make(chan struct{})
			s := newSession(link, SessionConfig{QueueLen: 16}, false, nil)
			s.start(t.Context())
			s.SetBundles(bundles)
			rtp, report := append([]byte{0x80, 96}, make([]byte, 48)...), append([]byte{0x80, 201}, make([]byte, 26)...)
			if roq.IsRTCP(rtp) || !roq.IsRTCP(report) {
				t.Fatal("the packets are not what they should be")
			}
			list := []Packet{
				{Flow: 1, Payload: rtp}, {Flow: 2, Payload: rtp}, {Flow: 3, Payload: rtp},
				{Flow: 63, Class: 1, Payload: report}, {Flow: 4, Class: 1, Payload: rtp}, {Flow: 63, Class: 1, Payload: report},
				{Flow: 5, Class: 2, Payload: rtp}, {Flow: 5, Class: 2, Payload: rtp},
				{Flow: 5, Class: 2, Payload: rtp, Deadline: time.Now().Add(time.Second)},
			}
			for _, p := range list {
				if err := s.Send(p); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			time.Sleep(2 * time.Second)
			close(link.hold)
			synctest.Wait()
			st := s.Stats()
			want := [NumClasses]Traffic{{3, 150}, {1, 50}, {2, 100}}
			if st.SentRTP != want || st.SentRTCP != (Traffic{2, 56}) || st.MediaSent != 8 {
				t.Errorf("bundles %v: RTP %v, RTCP %v, %d in all", bundles, st.SentRTP, st.SentRTCP, st.MediaSent)
			}
			if n := link.sent.Load(); bundles == (n == 8) {
				t.Errorf("bundles %v: %d datagrams", bundles, n)
			}
			if st.SendDrops[2][DropExpired] != 1 || st.Dropped[DropExpired] != 1 || st.DroppedByClass[2] != 1 {
				t.Errorf("dropped %v", st.SendDrops)
			}
			s.Close()
		})
	}
}
