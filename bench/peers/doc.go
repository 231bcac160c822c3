// Package peers measures what forwarding costs a server, for Earshot and for
// others, in turn in the same run. README.md beside this file says what is
// compared and how; the module is one of its own, so that Earshot's does not
// need a WebRTC stack.
package peers
