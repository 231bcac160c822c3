package record_test

import (
	"bytes"
	"errors"
	"math"
	"math/cmplx"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/record"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// decodeStereo returns both sides of an Ogg file, and how long it says it is.
func decodeStereo(t testing.TB, file []byte) (left, right []int16, samples int64) {
	t.Helper()
	r, err := ogg.NewReader(bytes.NewReader(file))
	must(t, err)
	dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{Channels: 2})
	must(t, err)
	pcm, err := ogg.ReadPCM(r, dec, 2)
	must(t, err)
	left, right = apart(pcm)
	return left, right, r.Samples()
}

//go:norace
func apart(pcm []int16) (left, right []int16) {
	left, right = make([]int16, len(pcm)/2), make([]int16, len(pcm)/2)
	for i := range left {
		left[i], right[i] = pcm[2*i], pcm[2*i+1]
	}
	return left, right
}

// tone is a microphone with a tone of a multiple of 50 Hz.
func tone(t testing.TB, hz float64) engine.OpusSource {
	t.Helper()
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{Bitrate: 64000, Signal: codec.SignalMusic})
	must(t, err)
	var packets [][]byte
	pcm := make([]int16, 960)
	for n := range 60 {
		for i := range pcm {
			pcm[i] = int16(6000 * math.Sin(2*math.Pi*hz*float64(i)/48000))
		}
		b := make([]byte, codec.MaxPacketSize)
		k, err := enc.Encode(pcm, b)
		must(t, err)
		if n >= 10 {
			packets = append(packets, b[:k])
		}
	}
	return audio.NewPacketSource(packets, true)
}

// toneLevel is how much of a frequency is in a part of a sound, in dB below a
// full-scale tone; from and to are seconds.
func toneLevel(t testing.TB, pcm []int16, from, to, hz float64) float64 {
	t.Helper()
	if int(to*48000) > len(pcm) {
		t.Fatalf("the sound is %.2f s long, not %.2f", float64(len(pcm))/48000, to)
	}
	pcm = pcm[int(from*48000):int(to*48000)]
	return 20 * math.Log10(amplitude(pcm, hz)/32767+1e-9)
}

// amplitude is that of a frequency, through a Hann window. Each step turns both of
// their phases, as a sine of each sample takes much longer.
//
//go:norace
func amplitude(pcm []int16, hz float64) float64 {
	turn, slow := cmplx.Rect(1, 2*math.Pi*hz/48000), cmplx.Rect(1, 2*math.Pi/float64(len(pcm)))
	phase, window := complex(1, 0), complex(1, 0)
	var sum complex128
	for _, v := range pcm {
		sum += complex((1-real(window))*float64(v), 0) * phase
		phase *= turn
		window *= slow
	}
	return 2 * cmplx.Abs(sum) / float64(len(pcm))
}

// absent is below what is heard of anybody.
const absent = -60.0

// What a player of a world hears is recorded as they hear it: from where and as loud,
// nobody out of range, nobody who refused, and not themselves.
func TestHeardInAWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, near, func(r hooks.RecordRequest) error {
			if r.UserID == "erin" {
				return &hooks.Refusal{Message: "no"}
			}
			return nil
		}, func(c *engine.ServerConfig) { c.Codec = libopus.Driver{} })
		village, err := w.srv.NewWorld(engine.WorldConfig{ID: "village", Range: 30})
		must(t, err)
		at := map[string]float32{"ann": 0, "alice": 2, "bob": -15, "carol": 200, "erin": 3} // metres to the right
		hz := map[string]float64{"ann": 400, "alice": 600, "bob": 850, "carol": 1150, "erin": 1500}
		for u, right := range at {
			_, err := village.Join(engine.Player{UserID: u, Position: mixer.Vector{0, right, 0}})
			must(t, err)
		}
		var d disk
		var told events
		rec, err := record.Start(record.Config{
			Source: w.srv, CallID: "village", Create: d.create, OnEvent: told.add, Heard: []string{"ann", "zoe"}, HeardEncoder: stereo,
		})
		must(t, err)
		for u := range at { // after the recording has begun
			w.dial(u, func(c *engine.ClientConfig) { c.OpusMicrophone = tone(t, hz[u]) })
		}
		time.Sleep(3 * time.Second) // virtual
		must(t, village.Move([]engine.Placement{{UserID: "alice", Position: mixer.Vector{0, 100, 0}}, {UserID: "bob", Position: mixer.Vector{0, -2, 0}}}))
		time.Sleep(2 * time.Second) // virtual
		must(t, village.Move([]engine.Placement{{UserID: "bob", Position: mixer.Vector{0, -100, 0}}}))
		time.Sleep(3 * time.Second) // virtual
		must(t, village.Move([]engine.Placement{{UserID: "alice", Position: mixer.Vector{0, 2, 0}}}))
		time.Sleep(2 * time.Second) // virtual
		must(t, rec.Stop())
		if n := rec.Dropped(); n > 0 {
			t.Errorf("%d packets were dropped", n)
		}
		if len(rec.Files()) != 5 || len(d.files) != 5 { // those of four speakers, and what ann hears
			t.Errorf("the files are %v", rec.Files())
		}
		left, right, n := decodeStereo(t, d.of(t, "ann.heard", ".ogg"))
		for u := range at {
			if u == "erin" {
				continue
			}
			if _, own := decode(t, d.of(t, u, ".ogg")); own != n {
				t.Errorf("what ann hears has %d samples, %s's file %d", n, u, own)
			}
		}
		heard := func(u string, from, to float64) (l, r float64) {
			return toneLevel(t, left, from, to, hz[u]), toneLevel(t, right, from, to, hz[u])
		}
		al, ar := heard("alice", 1, 2.9)
		bl, br := heard("bob", 1, 2.9)
		if ar < al+20 || bl < br+20 || ar < bl+6 || bl < absent {
			t.Errorf("alice, 2 m to the right, has %.1f and %.1f dB; bob, 15 m to the left, %.1f and %.1f", al, ar, bl, br)
		}
		nearer, br := heard("bob", 3.5, 4.9)
		if nearer < bl+6 || nearer < br+20 {
			t.Errorf("bob, now 2 m to the left, has %.1f and %.1f dB, not more than %.1f", nearer, br, bl)
		}
		if al, ar := heard("alice", 3.5, 4.9); al > absent || ar > absent {
			t.Errorf("alice is out of range, and has %.1f and %.1f dB", al, ar)
		}
		if l, r := mixer.Level(left[48000*55/10:48000*79/10]), mixer.Level(right[48000*55/10:48000*79/10]); l > -90 || r > -90 {
			t.Errorf("where nobody is heard are %.0f and %.0f dBov", l, r)
		}
		if _, again := heard("alice", 8.5, 9.9); math.Abs(again-ar) > 1.5 {
			t.Errorf("alice, back again, has %.1f dB, before %.1f", again, ar)
		}
		for _, u := range []string{"ann", "carol", "erin"} {
			if l, r := heard(u, 1, 9.9); l > absent || r > absent {
				t.Errorf("%s is in it, with %.1f and %.1f dB", u, l, r)
			}
		}
		if l := told.list(); strings.Count(l, "began ann") != 1 || strings.Count(l, "ended ann") != 1 || strings.Contains(l, "zoe") {
			t.Errorf("events\n%s", l)
		}
	})
}

// What a user of a call hears is recorded as they hear it, without themselves and
// those who refused; Exclude takes a speaker out of it at once, and ends it for who
// hears.
func TestHeardInACall(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { heardInACall(t, mode) })
		})
	}
}

func heardInACall(t *testing.T, mode hooks.RoomMode) {
	w := newWorld(t, near, func(r hooks.RecordRequest) error {
		if r.UserID == "erin" {
			return &hooks.Refusal{Message: "no"}
		}
		return nil
	}, func(c *engine.ServerConfig) { c.Codec, c.Mode = libopus.Driver{}, mode })
	hz := map[string]float64{"alice": 400, "bob": 850, "carol": 1150, "erin": 1500}
	var phones []*phone
	for _, u := range []string{"alice", "bob", "carol", "erin"} {
		phones = append(phones, w.dial(u, func(c *engine.ClientConfig) { c.OpusMicrophone = tone(t, hz[u]) }))
	}
	w.call(hooks.MediaAudio, phones[0], phones[1:]...)
	var d disk
	var told events
	began := time.Now()
	rec, err := record.Start(record.Config{
		Source: w.srv, CallID: w.callID, Create: d.create, OnEvent: told.add, NoSpeakers: true,
		Heard: []string{"alice", "bob", "erin"}, HeardEncoder: stereo,
	})
	must(t, err)
	time.Sleep(2 * time.Second) // virtual
	rec.Exclude("carol")
	must(t, phones[0].client.SetRemoteAudioVolume(t.Context(), "bob", 25))
	time.Sleep(2 * time.Second) // virtual
	rec.Include("carol")
	rec.Exclude("bob")          // and what he hears
	time.Sleep(2 * time.Second) // virtual
	rec.Include("bob")
	must(t, w.srv.SetPoses(w.callID, map[string]*mixer.Pose{"alice": {}, "carol": {Position: mixer.Vector{0, 5, 0}}}))
	time.Sleep(8*time.Second - time.Since(began)) // virtual
	must(t, rec.Stop())
	var names []string
	for _, n := range rec.Files() {
		names = append(names, n[strings.LastIndex(n, "Z-")+2:])
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "alice.heard.ogg bob-2.heard.ogg bob.heard.ogg" {
		t.Fatalf("the files are %s", got)
	}
	if got := told.list(); strings.Count(got, "refused erin") != 1 || strings.Count(got, "ended bob") != 2 {
		t.Errorf("events\n%s", got)
	}
	left, right, n := decodeStereo(t, d.of(t, "alice.heard", ".ogg"))
	if n != 8*48000-312 {
		t.Errorf("what alice hears has %d samples", n)
	}
	level := func(u string, from, to float64) float64 {
		l, r := toneLevel(t, left, from, to, hz[u]), toneLevel(t, right, from, to, hz[u])
		if from < 6 && math.Abs(l-r) > 1 && max(l, r) > absent {
			t.Errorf("%s is beside the middle: %.1f and %.1f dB", u, l, r)
		}
		return max(l, r)
	}
	before, while := level("bob", 0.6, 1.9), level("bob", 2.3, 3.9)
	if before < -25 || while > before-6 || while < absent {
		t.Errorf("bob has %.1f dB, and where alice turned him down %.1f", before, while)
	}
	if b, w, a := level("carol", 0.6, 1.9), level("carol", 2.05, 3.95), level("carol", 4.3, 5.9); b < -25 || w > absent || a < -25 {
		t.Errorf("carol has %.1f dB, where she is excluded %.1f, included again %.1f", b, w, a)
	}
	if l := level("bob", 4.05, 5.95); l > absent {
		t.Errorf("where bob is excluded he has %.1f dB", l)
	}
	if l, r := toneLevel(t, left, 6.4, 7.9, hz["carol"]), toneLevel(t, right, 6.4, 7.9, hz["carol"]); r < l+20 || r < -30 {
		t.Errorf("from the right carol has %.1f and %.1f dB", l, r)
	}
	if own, no := level("alice", 0.1, 7.9), level("erin", 0.1, 7.9); own > absent || no > absent {
		t.Errorf("alice has %.1f dB in what she hears herself, erin, who refused, %.1f", own, no)
	}
	his, _, n := decodeStereo(t, d.of(t, "bob.heard", ".ogg"))
	if a, b := toneLevel(t, his, 0.6, 3.9, hz["alice"]), toneLevel(t, his, 0.6, 3.9, hz["bob"]); a < -25 || b > absent || n > 401*480 || n < 390*480 {
		t.Errorf("until he is excluded bob hears alice with %.1f dB, himself with %.1f; %d samples", a, b, n)
	}
	again, _, n := decodeStereo(t, d.of(t, "bob-2.heard", ".ogg"))
	if a := toneLevel(t, again, 6.4, 7.9, hz["alice"]); a < -25 || mixer.Level(again[:59*4800]) > -90 || n != 8*48000-312 {
		t.Errorf("afterwards with %.1f dB, %.0f dBov before; %d samples", a, mixer.Level(again[:59*4800]), n)
	}
}

// What is heard lines up with the speakers' own files within 20 ms, over a bad
// network whose jitter buffers hold packets for longer than that, in a call and in a
// world.
func TestHeardLinesUp(t *testing.T) {
	bad := simnet.Link{Delay: 20 * time.Millisecond, Jitter: 60 * time.Millisecond, JitterReorders: true, Loss: 0.03}
	for _, where := range []string{"call", "world"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				length := 30 * time.Second
				if raceEnabled { // ten times slower
					length = 14 * time.Second
				}
				w := newWorld(t, bad, everybody, func(c *engine.ServerConfig) { c.Codec = libopus.Driver{} })
				pauses := func(d time.Duration) bool { return d%(4*time.Second) > 2*time.Second }
				players := map[string]*player{"alice": newPlayer(t, "alice", -100, nil), "bob": newPlayer(t, "bob", 100, pauses)}
				dial := func(u string) *phone {
					return w.dial(u, func(c *engine.ClientConfig) {
						if p := players[u]; p != nil {
							c.OpusMicrophone = p
						}
					})
				}
				alices, bobs := mixer.Vector{0, 5, 0}, mixer.Vector{0, -5, 0}
				w.callID = "village"
				if where == "call" {
					w.call(hooks.MediaAudio, dial("ann"), dial("alice"), dial("bob"))
					must(t, w.srv.SetPoses(w.callID, map[string]*mixer.Pose{"ann": {}, "alice": {Position: alices}, "bob": {Position: bobs}}))
				} else {
					village, err := w.srv.NewWorld(engine.WorldConfig{ID: w.callID})
					must(t, err)
					_, err = village.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "alice", Position: alices}, engine.Player{UserID: "bob", Position: bobs})
					must(t, err)
					for _, u := range []string{"ann", "alice", "bob"} {
						dial(u)
					}
				}
				var d disk
				began := time.Now()
				rec, err := record.Start(record.Config{
					Source: w.srv, CallID: w.callID, Create: d.create, Encoder: encoder(t), Heard: []string{"ann"}, HeardEncoder: stereo,
				})
				must(t, err)
				time.Sleep(length) // virtual
				must(t, rec.Stop())
				sides := make(map[string][]int16)
				sides["bob"], sides["alice"], _ = decodeStereo(t, d.of(t, "ann.heard", ".ogg"))
				all, _ := decode(t, d.of(t, "all.mix", ".ogg"))
				check := func(name, u string, pcm []int16, counts func(at time.Duration) bool) {
					t.Helper()
					own, _ := decode(t, d.of(t, u, ".ogg"))
					if len(pcm) != len(own) {
						t.Errorf("%s has %d samples, %s's file %d", name, len(pcm), u, len(own))
					}
					theirs := players[u].marks(own, began, time.Second, length-time.Second)
					lo, hi, found, of := time.Hour, -time.Hour, 0, 0
					for i, m := range players[u].marks(pcm, began, time.Second, length-time.Second) {
						if !counts(m.at) || !theirs[i].found {
							continue
						}
						if of++; m.found {
							found++
							lo, hi = min(lo, m.error-theirs[i].error), max(hi, m.error-theirs[i].error)
						}
					}
					t.Logf("%s: %d of %d chirps of %s's file found, %v to %v later", name, found, of, u, lo, hi)
					if of < 3 || found < of*2/3 || lo < -20*time.Millisecond || hi > 20*time.Millisecond {
						t.Errorf("%s: %d of %d chirps of %s's file found, %v to %v later", name, found, of, u, lo, hi)
					}
				}
				always := func(time.Duration) bool { return true }
				check("what ann hears", "alice", sides["alice"], always)
				check("what ann hears", "bob", sides["bob"], always)
				// In the file of all one chirp may be taken for another's.
				check("the file of all", "alice", all, func(at time.Duration) bool {
					at -= players["bob"].began.Sub(began)
					return pauses(at-300*time.Millisecond) && pauses(at+100*time.Millisecond)
				})
			})
		})
	}
}

// Who hears is asked as who speaks.
func TestHeardNeedsConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := talk(t, func(r hooks.RecordRequest) error {
			if r.UserID == "alice" {
				return &hooks.Refusal{Message: "no"}
			}
			return nil
		}, "alice", "bob")
		var d disk
		var told events
		rec, err := record.Start(record.Config{
			Source: w.srv, CallID: w.callID, Create: d.create, OnEvent: told.add, Heard: []string{"alice", "bob"}, HeardEncoder: stereo,
		})
		must(t, err)
		time.Sleep(2 * time.Second) // virtual
		must(t, rec.Stop())
		if files := rec.Files(); len(files) != 1 || !strings.HasSuffix(files[0], "-bob.ogg") {
			t.Errorf("the files are %v", files) // bob hears nobody who may be recorded
		}
		if strings.Count(told.list(), "refused alice") != 1 {
			t.Errorf("events\n%s", told.list())
		}
	})
}

func TestHeardConfig(t *testing.T) {
	bad := errors.New("no encoder")
	mono := func() (record.Encoder, error) { return libopus.Driver{}.NewEncoder(codec.EncoderConfig{}) }
	long := func() (record.Encoder, error) {
		return libopus.Driver{}.NewEncoder(codec.EncoderConfig{FrameDuration: 40 * time.Millisecond})
	}
	for name, c := range map[string]record.Config{
		"no encoder": {Heard: []string{"ann"}},
		"twice":      {Heard: []string{"ann", "bob", "ann"}, HeardEncoder: stereo},
		"nobody":     {Heard: []string{""}, HeardEncoder: stereo},
		"too long":   {Heard: []string{strings.Repeat("a", 33)}, HeardEncoder: stereo},
		"mono":       {Heard: []string{"ann"}, HeardEncoder: mono},
		"long":       {Heard: []string{"ann"}, HeardEncoder: long},
		"failing":    {Heard: []string{"ann"}, HeardEncoder: func() (record.Encoder, error) { return nil, bad }},
		"nil":        {Heard: []string{"ann"}, HeardEncoder: func() (record.Encoder, error) { return nil, nil }},
	} {
		var s source
		var d disk
		c.Source, c.CallID, c.Create = &s, "x", d.create
		_, err := record.Start(c)
		if !errors.Is(err, record.ErrConfig) || name == "failing" && !errors.Is(err, bad) || len(s.taps) > 0 {
			t.Errorf("%s: %v, %d taps", name, err, len(s.taps))
		}
		t.Logf("%s: %v", name, err)
	}
	// A tap that cannot be: the others are closed.
	s := source{broken: bad}
	var d disk
	_, err := record.Start(record.Config{
		Source: &s, CallID: "x", Create: d.create, Encoder: encoder(t), Heard: []string{"ann"}, HeardEncoder: stereo,
	})
	if !errors.Is(err, bad) || len(s.taps) != 3 {
		t.Errorf("%v, %d taps", err, len(s.taps))
	}
	for _, tap := range s.taps[:2] {
		<-tap.Done()
	}
	// Only what is heard.
	s.broken = nil
	rec, err := record.Start(record.Config{
		Source: &s, CallID: "x", Create: d.create, NoSpeakers: true, NoVideo: true, Heard: []string{"ann"}, HeardEncoder: stereo,
	})
	must(t, err)
	must(t, rec.Stop())
}
