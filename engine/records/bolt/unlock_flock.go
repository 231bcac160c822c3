//go:build unix && !aix && !android && !solaris

package bolt

import (
	"os"
	"syscall"
)

// unlock takes bbolt's lock off a file. Closing it would not: the mapping,
// which is lost, still holds it.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
