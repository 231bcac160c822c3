//go:build !unix || aix || android || solaris

package bolt

import "os"

// unlock does nothing: here a broken file may stay locked until the process
// ends.
func unlock(*os.File) {}
