package network

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
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
// there are: synctest wants a *testing.T, which a benchmark has not.
func inVirtual[T any](b *testing.B, calls []func(context.Context) (T, error)) []T {
	results := make([]T, len(calls))
	var mu sync.Mutex
	var tests []testing.InternalTest
	for i, call := range calls {
		tests = append(tests, testing.InternalTest{Name: fmt.Sprintf("%s-%d", b.Name(), i), F: func(t *testing.T) {
			t.Parallel()
			res := virtually(t, call)
			mu.Lock()
			defer mu.Unlock()
			results[i] = res
		}})
	}
	all := func(string, string) (bool, error) { return true, nil }
	if !testing.RunTests(all, tests) {
		b.Fatal("a call could not be measured; see above")
	}
	return results
}
