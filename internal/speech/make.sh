#!/bin/sh
# Makes the real input of demo, tests and benchmarks: voices/*.ogg,
# speech16k.wav and motion.ivf. Run it here; the results are committed.
#
# Needs: sudo apt install espeak-ng sox opus-tools ffmpeg
#
# With the same versions of the tools the same files come out: nothing here
# is random, and opusenc gets a fixed serial number.
set -eu
cd "$(dirname "$0")"
for tool in espeak-ng sox opusenc ffmpeg; do
	command -v "$tool" >/dev/null || {
		echo "make.sh: $tool is missing: sudo apt install espeak-ng sox opus-tools ffmpeg" >&2
		exit 1
	}
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p voices

# voice NAME ESPEAK-VOICE PITCH WORDS-PER-MINUTE SERIAL TEXT
#
# Silence before the first word is cut to 60 ms and 300 ms are left after the
# last. The level is made -20 dBov over the voiced part: measured with the
# pauses cut out, since pauses would make slow talkers louder.
voice() {
	espeak-ng -v "$2" -p "$3" -s "$4" -w "$tmp/raw.wav" "$6"
	sox -D "$tmp/raw.wav" -r 48000 -b 16 "$tmp/cut.wav" \
		vol 0.5 highpass 60 silence 1 0.01 0.15% reverse silence 1 0.01 0.15% reverse pad 0.06 0.3
	# -l: drop pauses longer than 50 ms below -46 dB.
	sox -D "$tmp/cut.wav" "$tmp/active.wav" silence -l 1 0.01 0.5% -1 0.05 0.5%
	rms=$(sox "$tmp/active.wav" -n stat 2>&1 | awk '/RMS.*amplitude/ {print $3}')
	gain=$(awk "BEGIN {printf \"%.5f\", 0.1/$rms}")
	# vol's limiter holds the few highest peaks below clipping.
	sox -D "$tmp/cut.wav" "$tmp/$1.wav" vol "$gain" amplitude 0.05
	opusenc --quiet --speech --bitrate 28 --framesize 20 --serial "$5" --discard-comments --padding 0 \
		--comment "TITLE=$1" "$tmp/$1.wav" "voices/$1.ogg"
}

voice alice en-us+f2 62 165 1 \
	"Hello, can you hear me? I am standing at the old bridge, and the river is rising. If you bring the rope and two torches, we can still cross before the night falls. Call me when you are close."
voice bob en-gb+m3 38 155 2 \
	"Yes, I hear you well. Give me a minute, my ship has lost a sail and the wind is against us. Put the others on the same channel, and tell the captain that we meet behind the lighthouse."
voice carol en-gb-scotland+f4 55 170 3 \
	"Two of them are coming up the stairs on your left! Stay quiet, do not move, and wait until the door opens. Now, go, go! That was close. Who has a spare key for the north gate?"
voice dave en-us+m7 30 150 4 \
	"Good evening everybody, and welcome to the final round. There are six players in this room, and only one treasure. Please check your microphone, mute the television, and be kind to each other."
voice erin en-gb-x-rp+f5 70 175 5 \
	"I think the sound is much better today. Yesterday my voice broke up whenever the train went through a tunnel. Could you read me the numbers again? Seven, three, nine, twenty four, and a hundred and eight."
voice frank en-029+m1 48 160 6 \
	"Watch the score, we are only three points behind. Pass the ball to the far side, and I will run along the line. Quickly, quickly, shoot! What a wonderful goal. That is how my brother plays every Sunday."

# Eight seconds of WAV at 16 kHz mono for who reads PCM files.
sox -D "$tmp/alice.wav" -r 16000 -b 16 "$tmp/wide.wav" trim 0 8
# ffmpeg would write a LIST chunk; sox writes the plain 44 bytes of header.
cp "$tmp/wide.wav" speech16k.wav

# Four seconds of moving picture, 320x240 at 15 frames/s, a key frame every 30.
ffmpeg -hide_banner -loglevel error -y -f lavfi -i "testsrc2=size=320x240:rate=15:duration=4" \
	-c:v libvpx -b:v 250k -maxrate 300k -bufsize 250k -g 30 -keyint_min 30 -auto-alt-ref 0 -lag-in-frames 0 \
	-deadline good -cpu-used 2 -threads 1 -fflags +bitexact -flags:v +bitexact -f ivf motion.ivf

ls -l voices speech16k.wav motion.ivf
