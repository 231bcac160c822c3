package mediafile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/internal/speech"
)

// plain is a codec whose packets hold their frame's first and last sample.
type plain struct{ codec.Driver }

func (plain) NewEncoder(codec.EncoderConfig) (codec.Encoder, error) { return plainEncoder{}, nil }

type plainEncoder struct{ codec.Encoder }

func (plainEncoder) Encode(pcm []int16, packet []byte) (int, error) {
	packet[0] = 0xF8 // one frame of CELT, 20 ms
	binary.BigEndian.PutUint16(packet[1:], uint16(pcm[0]))
	binary.BigEndian.PutUint16(packet[3:], uint16(pcm[len(pcm)-1]))
	return 5, nil
}

// tone is 10 ms of sound, of which the first is first.
func tone(first int) []int16 {
	pcm := make([]int16, 480)
	for i := range pcm {
		pcm[i] = int16(first + i)
	}
	return pcm
}

// recorded reads a WebM file back.
func recorded(t testing.TB, file []byte) (h webm.Header, pictures, sounds []webm.Frame) {
	t.Helper()
	r, err := webm.NewReader(bytes.NewReader(file))
	must(t, err)
	for {
		f, err := r.NextFrame()
		if err == io.EOF {
			return r.Header(), pictures, sounds
		}
		must(t, err)
		if r.Header().Tracks[f.Track].CodecID == webm.VP8 {
			pictures = append(pictures, f)
		} else {
			sounds = append(sounds, f)
		}
	}
}

func near(a, b time.Duration) bool { return a-b <= time.Millisecond && b-a <= time.Millisecond }

// Picture and sound, with a pause in each, on one clock that begins with the
// first key frame.
func TestRecordPictureAndSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "call.webm")
		rec, err := mediafile.Create(path, mediafile.Config{Codec: plain{}})
		must(t, err)
		frames := clip(t)
		start := time.Now()
		sleep := func(at time.Duration) { time.Sleep(time.Until(start.Add(at))) }
		// Ticks of 10 ms; the picture begins at 300 ms and pauses from 1 s to 3 s,
		// the sound begins at 10 ms and pauses from 1.5 s to 2 s.
		next := 0
		for tick := 1; tick <= 400; tick++ {
			at := time.Duration(tick) * 10 * time.Millisecond
			sleep(at)
			if at < 1500*time.Millisecond || at > 2*time.Second {
				rec.WritePCM(tone(tick * 50))
			}
			if at%(100*time.Millisecond) == 0 && at >= 300*time.Millisecond && (at <= time.Second || at >= 3*time.Second) {
				f := frames[next]
				f.Time = time.Hour + at // the sender's own clock
				rec.WriteFrame(f)
				next++
			}
		}
		synctest.Wait()
		must(t, rec.Err())
		must(t, rec.Close())
		if err := rec.Close(); err != mediafile.ErrRecorderClosed {
			t.Errorf("closed twice: %v", err)
		}
		if d := rec.Dropped(); d != (mediafile.Dropped{}) {
			t.Errorf("dropped %+v", d)
		}
		rec.WritePCM(tone(0))
		rec.WriteOpus([]byte{0xF8})
		rec.WriteFrame(frames[0])
		if d := rec.Dropped(); d != (mediafile.Dropped{Video: 1, Audio: 2}) {
			t.Errorf("dropped after Close: %+v", d)
		}
		file, err := os.ReadFile(path)
		must(t, err)
		h, pictures, sounds := recorded(t, file)
		if len(h.Tracks) != 2 || h.Tracks[0].Width != 320 || h.Duration < 3600*time.Millisecond || h.Duration > 3900*time.Millisecond {
			t.Errorf("header %+v", h)
		}
		if len(pictures) != next {
			t.Fatalf("%d pictures, want %d", len(pictures), next)
		}
		for i, f := range pictures {
			want := time.Duration(i) * 100 * time.Millisecond
			if i > 7 {
				want = 2700*time.Millisecond + time.Duration(i-8)*100*time.Millisecond
			}
			if !bytes.Equal(f.Data, frames[i].Data) || !near(f.Time, want) || f.KeyFrame != frames[i].KeyFrame {
				t.Errorf("picture %d at %v, want %v", i, f.Time, want)
			}
		}
		// A packet of the sound captured from a to a+20 ms is at a-300 ms. tone's
		// first sample tells when that was.
		for i, f := range sounds {
			first := int(int16(binary.BigEndian.Uint16(f.Data[1:])))
			captured := time.Duration(first/50-1) * 10 * time.Millisecond
			if !near(f.Time, captured-300*time.Millisecond) {
				t.Errorf("sound %d, captured at %v, is at %v", i, captured, f.Time)
			}
		}
		if n := len(sounds); n < 158 || n > 162 { // (4 s - 0.3 s - 0.5 s) / 20 ms
			t.Errorf("%d packets", n)
		}
	})
}

// Without a picture the file has the sound alone, from the first block on.
func TestRecordSoundAlone(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   mediafile.Config
		after time.Duration // a picture comes then
	}{
		"by Close":  {mediafile.Config{Codec: plain{}}, 0},
		"in time":   {mediafile.Config{Codec: plain{}, VideoWait: time.Second}, 1500 * time.Millisecond},
		"as wanted": {mediafile.Config{Codec: plain{}, NoVideo: true}, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var file bytes.Buffer
				rec, err := mediafile.NewRecorder(&file, c.cfg)
				must(t, err)
				for i := range 201 {
					time.Sleep(10 * time.Millisecond)
					rec.WritePCM(tone(i))
					if c.after > 0 && time.Duration(i)*10*time.Millisecond == c.after {
						rec.WriteFrame(clip(t)[0])
					}
				}
				must(t, rec.Close())
				_, pictures, sounds := recorded(t, file.Bytes())
				if len(pictures) != 0 || len(sounds) != 101 {
					t.Fatalf("%d pictures, %d packets", len(pictures), len(sounds))
				}
				for i, f := range sounds {
					if want := time.Duration(i) * 20 * time.Millisecond; f.Time != want || int(binary.BigEndian.Uint16(f.Data[1:])) != 2*i {
						t.Errorf("packet %d at %v", i, f.Time)
					}
				}
				if d := rec.Dropped(); d.Audio != 0 || (d.Video != 0) != (c.after > 0) {
					t.Errorf("dropped %+v", d)
				}
			})
		})
	}
}

// Opus packets are kept as they come, in their own even time; more sound than
// time is dropped.
func TestRecordOpus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		rec, err := mediafile.NewRecorder(&file, mediafile.Config{NoVideo: true})
		must(t, err)
		packets := speech.Packets("alice")[:100]
		for i, p := range packets {
			time.Sleep([]time.Duration{20, 35, 5}[i%3] * time.Millisecond) // jitter
			rec.WriteOpus(p)
		}
		rec.WriteOpus(nil)
		rec.WriteOpus([]byte{3})
		rec.WritePCM(tone(0)) // there is no codec
		for range 100 {
			rec.WriteOpus(packets[0])
		}
		must(t, rec.Close())
		_, _, sounds := recorded(t, file.Bytes())
		for i, p := range packets {
			if !bytes.Equal(sounds[i].Data, p) {
				t.Fatalf("packet %d differs", i)
			}
			if sounds[i].Time != time.Duration(i)*20*time.Millisecond {
				t.Fatalf("packet %d at %v", i, sounds[i].Time)
			}
		}
		if d := rec.Dropped(); d.Audio < 3+70 || d.Audio+uint64(len(sounds)) != 203 {
			t.Errorf("dropped %+v, kept %d", d, len(sounds))
		}
	})
}

func TestRecordIVF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "call.ivf")
		rec, err := mediafile.Create(path, mediafile.Config{Format: mediafile.IVF, Codec: plain{}})
		must(t, err)
		frames := clip(t)
		rec.WriteFrame(frames[1]) // no key frame yet
		for _, f := range frames {
			rec.WriteFrame(f)
			rec.WritePCM(tone(0))
			time.Sleep(step)
		}
		must(t, rec.Close())
		if d := rec.Dropped(); d != (mediafile.Dropped{Video: 1, Audio: 60}) {
			t.Errorf("dropped %+v", d)
		}
		f, err := os.Open(path)
		must(t, err)
		defer f.Close()
		r, err := ivf.NewReader(f)
		must(t, err)
		if h := r.Header(); h.Frames != 60 || h.Width != 320 {
			t.Errorf("header %+v", h)
		}
		for i := range frames {
			got, err := r.NextFrame()
			must(t, err)
			if !bytes.Equal(got.Data, frames[i].Data) || !near(got.Time, frames[i].Time) {
				t.Fatalf("frame %d at %v differs", i, got.Time)
			}
		}
	})
}

// slow is a disk that hangs until it is let go.
type slow struct {
	bytes.Buffer
	hang chan struct{}
}

func (w *slow) Write(b []byte) (int, error) {
	<-w.hang
	return w.Buffer.Write(b)
}

// A disk that hangs holds nobody up: what does not fit is dropped, the picture
// up to the next key frame.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slow{hang: make(chan struct{})}
		frames := clip(t)
		rec, err := mediafile.NewRecorder(disk, mediafile.Config{Codec: plain{}, MaxQueued: 40000})
		must(t, err)
		start := time.Now()
		for _, f := range frames[:25] {
			time.Sleep(step)
			rec.WriteFrame(f)
			rec.WritePCM(tone(0))
		}
		if d := time.Since(start); d != 25*step {
			t.Errorf("writing took %v", d-25*step)
		}
		before := rec.Dropped()
		if before.Video == 0 || before.Video == 25 {
			t.Fatalf("dropped %+v", before)
		}
		close(disk.hang)
		synctest.Wait()
		for _, f := range frames[25:] {
			time.Sleep(step)
			rec.WriteFrame(f)
		}
		must(t, rec.Close())
		if d := rec.Dropped(); d.Video != before.Video+5 {
			t.Errorf("dropped %+v, and %+v while it hung", d, before)
		}
		_, pictures, _ := recorded(t, disk.Bytes())
		kept := 25 - int(before.Video)
		if len(pictures) != kept+30 {
			t.Fatalf("%d pictures, want %d", len(pictures), kept+30)
		}
		for i, f := range pictures {
			if i >= kept {
				i += 30 - kept
			}
			if !bytes.Equal(f.Data, frames[i].Data) {
				t.Fatalf("not frame %d", i)
			}
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("the disk is full")

func TestRecordErrors(t *testing.T) {
	for name, cfg := range map[string]mediafile.Config{
		"format": {Format: 2}, "neither": {NoVideo: true, NoAudio: true}, "IVF without a picture": {Format: mediafile.IVF, NoVideo: true},
		"rate": {Encoder: codec.EncoderConfig{SampleRate: 16000}}, "encoder": {Encoder: codec.EncoderConfig{Channels: 3}},
		"wait": {VideoWait: -1}, "queue": {MaxQueued: -1},
	} {
		if _, err := mediafile.NewRecorder(io.Discard, cfg); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := mediafile.Create(filepath.Join(t.TempDir(), "no", "such"), mediafile.Config{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		rec, err := mediafile.NewRecorder(io.Discard, mediafile.Config{})
		must(t, err)
		rec.WriteFrame(engine.VideoFrame{KeyFrame: true, Data: []byte("no VP8")})
		if err := rec.Close(); !errors.Is(err, mediafile.ErrNothing) {
			t.Errorf("an empty recording: %v", err)
		}
		rec, err = mediafile.NewRecorder(full{}, mediafile.Config{})
		must(t, err)
		rec.WriteFrame(clip(t)[0])
		synctest.Wait()
		if err := rec.Err(); !errors.Is(err, errFull) {
			t.Errorf("Err: %v", err)
		}
		rec.WriteFrame(clip(t)[1])
		if err := rec.Close(); !errors.Is(err, errFull) {
			t.Errorf("Close: %v", err)
		}
		if d := rec.Dropped(); d.Video != 1 {
			t.Errorf("dropped %+v", d)
		}
	})
}
