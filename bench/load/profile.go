package load

import (
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// blockFrom is how long a goroutine waits at least to be in a block profile for
// sure; shorter waits are in it by chance, as often as they are long.
const blockFrom = 10 * time.Microsecond

// profiles are those of the server, from the first call of next to the second.
type profiles struct {
	calls int
	cpu   *os.File
}

func (p *profiles) next(cfg Config) (err error) {
	p.calls++
	switch p.calls {
	case 1:
		if cfg.MutexProfile != "" {
			runtime.SetMutexProfileFraction(1)
		}
		if cfg.BlockProfile != "" {
			runtime.SetBlockProfileRate(int(blockFrom))
		}
		if cfg.Profile == "" {
			return nil
		}
		if p.cpu, err = os.Create(cfg.Profile); err != nil {
			return err
		}
		return pprof.StartCPUProfile(p.cpu)
	case 2:
		if p.cpu != nil {
			pprof.StopCPUProfile()
			if err := p.cpu.Close(); err != nil {
				return err
			}
		}
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
		if err := writeProfile("mutex", cfg.MutexProfile); err != nil {
			return err
		}
		return writeProfile("block", cfg.BlockProfile)
	}
	return nil
}

func writeProfile(name, file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := pprof.Lookup(name).WriteTo(f, 0); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
