package jitter_test

import (
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// One goroutine would push and another pull; here both are played through in
// order, on a clock of their own.
func Example() {
	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		panic(err)
	}
	buf, err := jitter.New(jitter.Config{Decoder: dec})
	if err != nil {
		panic(err)
	}

	now := time.Unix(0, 0)
	pcm := make([]int16, 480) // 10 ms
	spoke := false
	for i, payload := range speech.Packets("alice")[:100] {
		if i != 50 { // one is lost on the way
			buf.Push(jitter.Packet{
				SequenceNumber: uint16(i), Timestamp: uint32(i * 960),
				Payload: payload, Arrival: now,
			})
		}
		for range 2 {
			now = now.Add(10 * time.Millisecond)
			res := buf.Pull(pcm, now)
			spoke = spoke || res.Active
		}
	}

	s := buf.Stats()
	fmt.Println("spoke:", spoke)
	fmt.Println("played:", s.Played, "lost:", s.Lost)
	fmt.Println("concealed:", time.Duration(s.ConcealedSamples)*time.Second/48000)
	// Output:
	// spoke: true
	// played: 99 lost: 1
	// concealed: 20ms
}
