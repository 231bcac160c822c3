// Package audio is sound in real time, without a sound card: what the demo,
// the terminal client, the tests and the benchmarks use for microphones and
// loudspeakers.
//
//	mic := audio.NewSource(audio.SourceConfig{PCM: speech.PCM("alice"), Loop: true})
//	// engine.ClientConfig{Microphone: mic, ...}
//
//	var heard audio.Recording
//	err := audio.Pull(ctx, audio.RandomPhase(), client.ReadPCM, heard.Add)
//
// A [Source] and a [PacketSource] are paced by the clock as a microphone is: a
// frame of the sound from t to t+20 ms is handed out at t+20 ms. [Pull] is a
// sound card's other half: it asks for 10 ms every 10 ms, at any phase. A
// [Recording] keeps what was pulled and when.
//
// [Find] finds a sound in another one, [Similarity] says how alike two are,
// and [Markers] with [MouthToEar] measure how long sound takes from one end to
// the other, on the sound itself. Files are read with [Load]; [OpenDevice] is a
// real sound card through a program that the machine has.
//
// What only calculates is marked go:norace: with the race detector the tests would
// spend most of their time in it.
//
// PCM is 48 kHz, mono, signed 16-bit. The clock is package time's, so all of
// it runs under testing/synctest.
package audio

import "time"

// Rate is the sampling rate in Hz, and BlockSamples are the samples that a
// sound card asks for at a time: 10 ms.
const (
	Rate         = 48000
	BlockSamples = Rate / 100
)

// duration is how long n samples play.
func duration(n int64) time.Duration {
	return time.Duration(n) * time.Second / Rate
}

// samples is how many samples play in d.
func samples(d time.Duration) int64 {
	return int64(d) * Rate / int64(time.Second)
}
