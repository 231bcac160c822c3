package network

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/internal/bubble"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// virtually runs f in a bubble of virtual time and returns what it returns.
func virtually[T any](t *testing.T, f func(context.Context) (T, error)) (res T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		if res, err = f(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return res
}

// inVirtual is virtually for benchmarks, of several calls on as many cores as
// there are.
func inVirtual[T any](b *testing.B, calls []func(context.Context) (T, error)) []T {
	results := make([]T, len(calls))
	var tests []func(*testing.T)
	for i, call := range calls {
		tests = append(tests, func(t *testing.T) {
			t.Parallel()
			results[i] = virtually(t, call)
		})
	}
	bubble.Run(b, tests...)
	return results
}
