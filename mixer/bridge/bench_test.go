package bridge_test

import (
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer/bridge"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

func benchTick(b *testing.B, users, talkers int) {
	g := newRig(b, bridge.Config{})
	// Packets are made before, so that the encoder of the microphones is not in
	// the figure.
	var voices [][][]byte
	names := speech.Voices()
	for i := range talkers {
		pcm := speech.PCM(names[i%len(names)])
		enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
		if err != nil {
			b.Fatal(err)
		}
		var packets [][]byte
		for k := i * 960 * 13; k+960 <= len(pcm); k += 960 {
			buf := make([]byte, codec.MaxPacketSize)
			n, err := enc.Encode(pcm[k:k+960], buf)
			if err != nil {
				b.Fatal(err)
			}
			packets = append(packets, buf[:n])
		}
		voices = append(voices, packets)
	}
	var sources []*bridge.Source
	for i := range talkers {
		sources = append(sources, g.br.AddSource(bridge.SourceConfig{Owner: uint64(i), SSRC: uint32(i)}))
	}
	sent := 0
	for i := range users {
		g.br.AddReceiver(bridge.ReceiverConfig{Owner: uint64(i), Send: func([]byte) { sent++ }})
	}
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{Complexity: 4})
	if err != nil {
		b.Fatal(err)
	}
	pcm, buf := speech.PCM("alice"), make([]byte, codec.MaxPacketSize)
	tick := func() {
		for i, s := range sources {
			s.Push(jitter.Packet{
				SequenceNumber: uint16(g.n), Timestamp: uint32(g.n * 960), Marker: g.n == 0,
				Payload: voices[i][int(g.n)%len(voices[i])], Arrival: g.now.Add(-3 * time.Millisecond),
			})
		}
		g.n++
		g.br.Tick(g.n, g.now)
		g.now = g.now.Add(20 * time.Millisecond)
	}
	for range 50 {
		tick()
	}
	sent = 0
	var ticking, encoding time.Duration
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		t0 := time.Now()
		tick()
		t1 := time.Now()
		enc.Encode(pcm[i:i+960], buf)
		encoding += time.Since(t1)
		ticking += t1.Sub(t0)
		i = (i + 960) % (len(pcm) - 960)
	}
	b.ReportMetric(50*float64(ticking)/float64(encoding), "encodes/s")
	b.ReportMetric(float64(ticking.Microseconds())/float64(b.N), "µs/tick")
	b.ReportMetric(float64(sent)/float64(b.N), "packets/tick")
	b.ReportMetric(0, "ns/op")
}
