package mixer

import (
	"errors"
	"fmt"
	"math"
)

// A Vector is a place or a direction: forward, right and up, as the original
// has them. Places are in metres.
type Vector [3]float32

// A Pose is where somebody stands and looks: a place, and the directions in
// which their forward, right and up are, each of length 1 and at right angles
// to the others. A zero Forward, Right and Up are the world's own.
type Pose struct {
	Position           Vector
	Forward, Right, Up Vector
}

// ErrPose is wrapped by the errors of [Pose.Check].
var ErrPose = errors.New("mixer: bad pose")

// maxPlace is how far away a place may be, in metres: beyond it float32 is
// coarser than a head is wide.
const maxPlace = 1e6

// Check says what is wrong with a pose: a number that is none or a place beyond
// 1,000 km, or directions that are neither unit vectors nor all zero.
func (p Pose) Check() error {
	for _, v := range p.Position {
		if !(v >= -maxPlace && v <= maxPlace) {
			return fmt.Errorf("%w: the position %v is not within 1,000 km", ErrPose, p.Position)
		}
	}
	if p.Forward == (Vector{}) && p.Right == (Vector{}) && p.Up == (Vector{}) {
		return nil
	}
	for _, d := range []Vector{p.Forward, p.Right, p.Up} {
		if n := d.dot(d); !(n > 0.8 && n < 1.2) {
			return fmt.Errorf("%w: the direction %v is no unit vector", ErrPose, d)
		}
	}
	return nil
}

func (v Vector) dot(w Vector) float32 { return v[0]*w[0] + v[1]*w[1] + v[2]*w[2] }

// DistanceModel is how loudness falls with distance.
type DistanceModel uint8

// The models. None has anything to be heard from Spatial.Range on: over the
// last tenth of it the sound fades out.
const (
	// Inverse is full loudness up to a tenth of the range, then in inverse
	// proportion to the distance, as the original's.
	Inverse DistanceModel = iota
	// Linear falls in a straight line from full at 0.
	Linear
	// CustomModel is Spatial.Custom.
	CustomModel
)

// Spatial says how distance and direction sound. The zero value is the inverse
// model with a range of 100 m. It may be used concurrently if Custom may.
type Spatial struct {
	// Model is how loudness falls with distance. Default Inverse.
	Model DistanceModel
	// Range is from where on nothing is heard. Default 100 m.
	Range float32
	// Custom is the gain, 0 to 1, at a distance in metres, for CustomModel. It
	// is called for each pair of receiver and talker in a frame, and must be
	// quick. Default: full loudness.
	Custom func(distance float32) float32
}

// Gains is how loud a listener hears a sound from a place, with the left and
// the right ear, each 0 to 1: by distance, and by direction with equal power
// (a sound straight ahead or behind has both at 0.71, one at the right 0 and
// 1). What is no number in the poses, or of Custom, gives silence.
func (s Spatial) Gains(listener Pose, source Vector) (left, right float32) {
	var way Vector
	for i := range way {
		way[i] = source[i] - listener.Position[i]
	}
	distance := float32(math.Sqrt(float64(way.dot(way))))
	gain := s.attenuation(distance)
	if !(gain > 0) {
		return 0, 0
	}
	side := listener.Right
	if side == (Vector{}) {
		side = Vector{0, 1, 0}
	}
	var pan float32 // -1 is left, 1 right
	if distance > 0 {
		if pan = max(-1, min(1, way.dot(side)/distance)); pan != pan {
			return 0, 0
		}
		// Within half a metre direction means less and less.
		pan *= min(1, distance*2)
	}
	sin, cos := math.Sincos(float64(pan+1) * math.Pi / 4)
	return gain * float32(cos), gain * float32(sin)
}

// attenuation is the gain at a distance.
func (s Spatial) attenuation(distance float32) float32 {
	reach := s.Range
	if !(reach > 0) {
		reach = 100
	}
	var gain float32 = 1
	switch s.Model {
	case Linear:
		gain = 1 - distance/reach
	case CustomModel:
		if s.Custom != nil {
			gain = s.Custom(distance)
		}
	default:
		if near := reach / 10; distance > near {
			gain = near / distance
		}
	}
	if edge := 0.9 * reach; distance > edge && s.Model != CustomModel {
		gain *= (reach - distance) / (reach - edge)
	}
	if !(gain > 0) {
		return 0
	}
	return min(gain, 1)
}
