// Package bench holds the benchmarks that anyone can run:
//
//	go test -run '^$' -bench . ./bench
//
// README.md beside this file says how each is measured and what came out.
package bench
