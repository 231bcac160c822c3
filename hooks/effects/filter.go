package effects

import "math"

// svf is a state-variable filter of second order, whose frequency may change
// at any sample without a click: Andrew Simper's trapezoidal form.
type svf struct {
	g, k, a1, a2, a3 float64
	s1, s2           float64
}

// tune sets the frequency in Hz and the quality; 0.707 is flat.
func (f *svf) tune(hz, q float64) {
	f.g = math.Tan(math.Pi * min(hz, 0.45*rate) / rate)
	f.k = 1 / q
	f.a1 = 1 / (1 + f.g*(f.g+f.k))
	f.a2 = f.g * f.a1
	f.a3 = f.g * f.a2
}

// next returns what passes below, and what passes above, the frequency.
func (f *svf) next(x float64) (low, high float64) {
	v3 := x - f.s2
	v1 := f.a1*f.s1 + f.a2*v3
	v2 := f.s2 + f.a2*f.s1 + f.a3*v3
	f.s1, f.s2 = 2*v1-f.s1, 2*v2-f.s2
	return v2, x - f.k*v1 - v2
}

func (f *svf) reset() { f.s1, f.s2 = 0, 0 }

// soft is a soft clipper: nearly linear below 0.5, and never beyond ±1.
func soft(x float64) float64 {
	x = max(-3, min(3, x))
	return x * (27 + x*x) / (27 + 9*x*x)
}
