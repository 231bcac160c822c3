package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/transport"
)

// demoResult is what runDemo found.
type demoResult struct {
	Setup    time.Duration // from dialling until both can hear each other
	Duration time.Duration // how long they talked
	Events   []demoEvent
	Ways     [2]way // alice to bob, bob to alice
	// MouthToEar are the markers of both ways.
	MouthToEar audio.Delays

	buffers [2]audio.Delays // of the jitter buffers while they talked
}

// A way is one direction of the call.
type way struct {
	From, To       string
	Sent, Received uint64 // RTP packets: of the microphone, in the jitter buffer
	Late           uint64 // of the received: after their time to be played
	Concealed      time.Duration
	JitterBuffer   time.Duration // the median of its delay, looked at now and then
	Drops          []string      // by either client's session, with the reason
	Skipped        time.Duration // sound that the microphone's reader missed

	// Correlation is how alike what was heard is to what was said (0 to 1),
	// Delay how much later it was heard, as that comparison has it.
	Correlation float64
	Delay       time.Duration
	MouthToEar  audio.Delays
	WAV         string // what To heard
}

// Lost is how many packets were sent and not received.
func (r *demoResult) Lost() uint64 {
	var n uint64
	for _, w := range r.Ways {
		n += w.Sent - min(w.Sent, w.Received)
	}
	return n
}

func (r *demoResult) volumeCallbacks() int {
	n := 0
	for _, e := range r.Events {
		if e.Name == "OnUserVoiceVolume" {
			n++
		}
	}
	return n
}

// watch looks at the jitter buffers.
func (r *demoResult) watch(alice, bob *talker) {
	for i, pair := range [2][2]*talker{{alice, bob}, {bob, alice}} {
		for _, t := range pair[1].client.Stats().Tracks {
			if t.UserID == pair[0].name {
				r.buffers[i].Found = append(r.buffers[i].Found, t.Jitter.Delay)
			}
		}
	}
}

// count reads the counters of a call that still stands.
func (r *demoResult) count(alice, bob *talker) {
	stats := [2]engine.ClientStats{alice.client.Stats(), bob.client.Stats()}
	pair := [2]*talker{alice, bob}
	for i := range r.Ways {
		from, to := pair[i], pair[1-i]
		w := way{From: from.name, To: to.name, Sent: stats[i].AudioSent, JitterBuffer: r.buffers[i].Quantile(0.5)}
		for _, t := range stats[1-i].Tracks {
			if t.UserID == from.name {
				w.Received = t.Jitter.Received
				w.Late = t.Jitter.Late
				w.Concealed = time.Duration(t.Jitter.ConcealedSamples) * time.Second / audio.Rate
			}
		}
		for reason, n := range stats[i].Session.Dropped {
			if n > 0 {
				w.Drops = append(w.Drops, fmt.Sprintf("%d %v by %s", n, transport.DropReason(reason), from.name))
			}
		}
		r.Ways[i] = w
	}
}

// measure compares the sound itself, and writes it to dir if there is one.
func (r *demoResult) measure(alice, bob *talker, dir string) error {
	pair := [2]*talker{alice, bob}
	for i := range r.Ways {
		w, from, to := &r.Ways[i], pair[i], pair[1-i]
		if to.pulls != nil {
			return to.pulls
		}
		began := from.voice.Began()
		start := to.heard.From(began)
		if start >= len(to.heard.PCM) {
			return fmt.Errorf("%s has heard nothing", to.name)
		}
		w.Skipped = time.Duration(from.voice.Skipped()) * time.Second / audio.Rate
		w.Correlation, w.Delay = audio.Similarity(to.heard.PCM[start:], unroll(from.said, r.Duration))
		w.Delay += to.heard.Time(start).Sub(began)
		w.MouthToEar = audio.MouthToEar(from.said, from.markers, began, r.Duration, &to.heard)
		r.MouthToEar.Found = append(r.MouthToEar.Found, w.MouthToEar.Found...)
		r.MouthToEar.Missed += w.MouthToEar.Missed
		if dir != "" {
			w.WAV = to.wavPath(dir)
			if err := audio.WriteWAV(w.WAV, to.heard.PCM[start:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// unroll is d of the looped sound.
func unroll(pcm []int16, d time.Duration) []int16 {
	out := make([]int16, int(d.Seconds()*audio.Rate))
	for rest := out; len(rest) > 0 && len(pcm) > 0; {
		rest = rest[copy(rest, pcm):]
	}
	return out
}

// report is the JSON object.
func (r *demoResult) report() any {
	type quantiles struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	}
	type wavs struct {
		A string `json:"a"`
		B string `json:"b"`
	}
	names := make([]string, len(r.Events))
	for i, e := range r.Events {
		names[i] = e.Name
	}
	return struct {
		SetupMS         float64   `json:"setup_ms"`
		DurationS       float64   `json:"duration_s"`
		Events          []string  `json:"events"`
		Sent            uint64    `json:"sent"`
		Received        uint64    `json:"received"`
		Lost            uint64    `json:"lost"`
		VolumeCallbacks int       `json:"volume_callbacks"`
		MouthToEarMS    quantiles `json:"mouth_to_ear_ms"`
		OutputWAV       wavs      `json:"output_wav"`
	}{
		round(ms(r.Setup)), r.Duration.Seconds(), names,
		r.Ways[0].Sent + r.Ways[1].Sent, r.Ways[0].Received + r.Ways[1].Received, r.Lost(), r.volumeCallbacks(),
		quantiles{round(ms(r.MouthToEar.Quantile(0.5))), round(ms(r.MouthToEar.Quantile(0.99)))},
		wavs{A: r.Ways[1].WAV, B: r.Ways[0].WAV},
	}
}

// round leaves two decimals: more is noise.
func round(v float64) float64 { return math.Round(v*100) / 100 }

// demoFrame is how much sound is in a packet: the encoder's default.
const demoFrame = 20 * time.Millisecond

// printSummary is the end of the demo, for people.
func printSummary(w io.Writer, r *demoResult) {
	fmt.Fprintf(w, "\nSetup         %.1f ms from dialling until both can hear each other\n", ms(r.Setup))
	var drops []string
	for i, d := range r.Ways {
		title := "Packets"
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(w, "%-13s %s to %s: %d sent, %d received, %d lost, %d late; %.0f ms concealed\n", title, d.From, d.To,
			d.Sent, d.Received, d.Sent-min(d.Sent, d.Received), d.Late, ms(d.Concealed))
		drops = append(drops, d.Drops...)
		if d.Skipped > 0 {
			drops = append(drops, fmt.Sprintf("%.0f ms of %s's microphone not read in time", ms(d.Skipped), d.From))
		}
	}
	if len(drops) == 0 {
		drops = []string{"none"}
	}
	fmt.Fprintf(w, "Drops         %s\n", strings.Join(drops, "; "))
	fmt.Fprintf(w, "Volumes       %d callbacks\n", r.volumeCallbacks())
	for i, d := range r.Ways {
		title := "Speech"
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(w, "%-13s %s heard %s %.1f ms later, correlation %.3f\n", title, d.To, d.From, ms(d.Delay), d.Correlation)
	}
	fmt.Fprintf(w, "Mouth to ear  p50 %.1f ms, p99 %.1f ms, by %d markers found again in the sound (%d missed)\n",
		ms(r.MouthToEar.Quantile(0.5)), ms(r.MouthToEar.Quantile(0.99)), len(r.MouthToEar.Found), r.MouthToEar.Missed)
	for _, d := range r.Ways {
		p50 := d.MouthToEar.Quantile(0.5)
		rest := p50 - demoFrame - lookahead() - d.JitterBuffer
		fmt.Fprintf(w, "              %s to %s: %.1f ms = frame %.1f + Opus lookahead %.1f + jitter buffer %.1f + rest %.1f\n",
			d.From, d.To, ms(p50), ms(demoFrame), ms(lookahead()), ms(d.JitterBuffer), ms(rest))
	}
	for _, d := range r.Ways {
		if d.WAV != "" {
			fmt.Fprintf(w, "What %-5s heard is in %s\n", d.To, d.WAV)
		}
	}
}
