package bench

import (
	"os"
	"testing"

	"github.com/earshotrtc/earshot/bench/load"
)

// The measured server and the calibration are this program again.
func TestMain(m *testing.M) {
	load.Child()
	os.Exit(m.Run())
}
