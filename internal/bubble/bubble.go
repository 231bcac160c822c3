// Package bubble lets benchmarks run tests, since testing/synctest makes its
// bubbles for a *testing.T alone.
package bubble

import (
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// Run runs functions as tests of a benchmark, which ends unless all of them pass.
// Those that call t.Parallel run side by side. What -test.run and -test.skip say
// is not for them.
func Run(b *testing.B, list ...func(*testing.T)) {
	skip := flag.Lookup("test.skip").Value.String()
	match := func(pattern, _ string) (bool, error) { // which is asked of both flags, in parts
		return skip == "" || !strings.Contains(skip, pattern), nil
	}
	var ran atomic.Int64
	tests := make([]testing.InternalTest, len(list))
	for i, f := range list {
		tests[i] = testing.InternalTest{Name: fmt.Sprintf("%s-%d", b.Name(), i), F: func(t *testing.T) {
			ran.Add(1)
			f(t)
		}}
	}
	if ok := testing.RunTests(match, tests); !ok || int(ran.Load()) != len(list) {
		b.Fatalf("%d of %d ran; see above", ran.Load(), len(list))
	}
}
