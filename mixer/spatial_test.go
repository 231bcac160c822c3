package mixer_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/earshotrtc/earshot/mixer"
)

func TestSpatialGains(t *testing.T) {
	half := float32(math.Sqrt(0.5))
	turned := mixer.Pose{Forward: mixer.Vector{0, 1, 0}, Right: mixer.Vector{-1, 0, 0}, Up: mixer.Vector{0, 0, 1}}
	for _, c := range []struct {
		name        string
		s           mixer.Spatial
		listener    mixer.Pose
		at          mixer.Vector
		left, right float32
	}{
		{"ahead, near", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{5, 0, 0}, half, half},
		{"behind, near", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{-5, 0, 0}, half, half},
		{"right", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{0, 5, 0}, 0, 1},
		{"left", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{0, -5, 0}, 1, 0},
		{"above", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{0, 0, 5}, half, half},
		{"the same place", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{}, half, half},
		{"a fifth of the range", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{0, 20, 0}, 0, 0.5},
		{"out of range", mixer.Spatial{}, mixer.Pose{}, mixer.Vector{0, 100, 0}, 0, 0},
		{"another range", mixer.Spatial{Range: 10}, mixer.Pose{}, mixer.Vector{0, 2, 0}, 0, 0.5},
		{"linear", mixer.Spatial{Model: mixer.Linear}, mixer.Pose{}, mixer.Vector{0, 25, 0}, 0, 0.75},
		{"custom", mixer.Spatial{Model: mixer.CustomModel, Custom: func(d float32) float32 { return 1 / d }}, mixer.Pose{}, mixer.Vector{0, -4, 0}, 0.25, 0},
		{"custom, not a number", mixer.Spatial{Model: mixer.CustomModel, Custom: func(float32) float32 { return float32(math.NaN()) }}, mixer.Pose{}, mixer.Vector{0, -4, 0}, 0, 0},
		{"turned right, a sound ahead in the world", mixer.Spatial{}, turned, mixer.Vector{5, 0, 0}, 1, 0},
		{"elsewhere", mixer.Spatial{}, mixer.Pose{Position: mixer.Vector{0, 95, 0}}, mixer.Vector{0, 100, 0}, 0, 1},
	} {
		l, r := c.s.Gains(c.listener, c.at)
		if math.Abs(float64(l-c.left)) > 1e-3 || math.Abs(float64(r-c.right)) > 1e-3 {
			t.Errorf("%s: %.3f and %.3f, want %.3f and %.3f", c.name, l, r, c.left, c.right)
		}
	}
}

// Whatever the numbers are, gains are from 0 to 1.
func TestSpatialGainsAreGains(t *testing.T) {
	vector := func(t *rapid.T, name string) (v mixer.Vector) {
		for i := range v {
			v[i] = rapid.OneOf(rapid.Float32(), rapid.Just(float32(math.NaN())), rapid.Just(float32(math.Inf(1)))).Draw(t, name)
		}
		return v
	}
	rapid.Check(t, func(t *rapid.T) {
		p := mixer.Pose{Position: vector(t, "position"), Right: vector(t, "right")}
		s := mixer.Spatial{Model: mixer.DistanceModel(rapid.IntRange(0, 1).Draw(t, "model")), Range: rapid.Float32().Draw(t, "range")}
		for range 2 {
			l, r := s.Gains(p, vector(t, "source"))
			if !(l >= 0 && l <= 1 && r >= 0 && r <= 1) {
				t.Fatalf("%v and %v", l, r)
			}
		}
	})
}

func TestPoseCheck(t *testing.T) {
	nan := float32(math.NaN())
	unit := mixer.Pose{Forward: mixer.Vector{1, 0, 0}, Right: mixer.Vector{0, 1, 0}, Up: mixer.Vector{0, 0, 1}}
	bad, far, bent := unit, unit, unit
	bad.Position[1] = nan
	far.Position[0] = 2e6
	bent.Right = mixer.Vector{0, 3, 0}
	for _, p := range []mixer.Pose{bad, far, bent, {Forward: mixer.Vector{1, 0, 0}}, {Right: mixer.Vector{nan, 0, 0}}} {
		if err := p.Check(); !errors.Is(err, mixer.ErrPose) {
			t.Errorf("%v: %v", p, err)
		}
	}
	for _, p := range []mixer.Pose{{}, unit, {Position: mixer.Vector{1, 2, 3}}} {
		if err := p.Check(); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
}

// A gain that glides from block to block has no step where they meet.
func TestRampsJoin(t *testing.T) {
	pcm := make([]int16, 480)
	for i := range pcm {
		pcm[i] = 10000
	}
	var all []int32
	gains := []float32{0, 0.3, 1, 1, 0.2, 0}
	for i := 1; i < len(gains); i++ {
		sum := make([]int32, 480)
		mixer.AddRamp(sum, pcm, gains[i-1], gains[i])
		all = append(all, sum...)
		stereo := make([]int32, 960)
		mixer.AddStereoRamp(stereo, pcm, gains[i-1], gains[i-1]/2, gains[i], gains[i]/2)
		for k := range sum {
			if stereo[2*k] != sum[k] || math.Abs(float64(stereo[2*k+1])-float64(sum[k])/2) > 1 {
				t.Fatalf("block %d, sample %d: %d and %d, mono %d", i, k, stereo[2*k], stereo[2*k+1], sum[k])
			}
		}
	}
	for i := 1; i < len(all); i++ {
		if d := all[i] - all[i-1]; d > 20 || d < -20 {
			t.Fatalf("a step of %d at sample %d", d, i)
		}
	}
	same := append([]int16(nil), pcm...)
	mixer.Ramp(same, 1, 0)
	if same[0] != 10000 || same[479] > 30 {
		t.Errorf("a ramp from 1 to 0 goes from %d to %d", same[0], same[479])
	}
}
