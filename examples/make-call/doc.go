// Command make-call is the README's quick start: a server and two clients in
// one program, and a call between them.
//
//	go run ./examples/make-call
package main
