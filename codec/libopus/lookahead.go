//go:build cgo

package libopus

/*
#cgo pkg-config: opus
#include <opus.h>

// hraban/opus does not ask libopus for its lookahead and keeps its encoder to
// itself, so a short-lived encoder of the same kind is asked.
static int earshot_lookahead(int rate, int channels, int application) {
	int err = 0;
	OpusEncoder *e = opus_encoder_create(rate, channels, application, &err);
	if (e == NULL)
		return err < 0 ? err : OPUS_ALLOC_FAIL;
	opus_int32 n = 0;
	err = opus_encoder_ctl(e, OPUS_GET_LOOKAHEAD(&n));
	opus_encoder_destroy(e);
	return err < 0 ? err : (int)n;
}
*/
import "C"

import "github.com/hraban/opus"

// lookahead returns the algorithmic delay of an encoder in samples per channel.
func lookahead(rate, channels int, app opus.Application) (int, error) {
	n := int(C.earshot_lookahead(C.int(rate), C.int(channels), C.int(app)))
	if n < 0 {
		return 0, opus.Error(n)
	}
	return n, nil
}
