package fusion

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The constants of the calibration (design page on learning, 3.1).
const (
	pseudo    = 60. // observations at the defaults
	fairError = .3  // an estimate with this relative standard error counts as pseudo observations
	leastEach = 40  // owner ratings, and owner thumbs, before anything is learned
	noiseLow  = .15 // share of a source's variance that is noise at least
	slopeLow  = .1  // of the default slope
	slopeHigh = 3.  // of the default slope
	slopeMost = .5  // of what a detector finds, whose default is cautious: half of what a rating shows
	surely    = 3.  // standard errors that a covariance must be above 0 to be divided by
)

// ErrMoments is the error of moments that say nothing reliable about loadings; the
// text says why.
var ErrMoments = errors.New("calibration refused")

// Calibration says how loadings were found.
type Calibration struct {
	Owner   float64 // var s, the variance of satisfaction, owner-rating units
	Sources [NSources]Calibrated
}

// Calibrated is what was found of one source.
type Calibrated struct {
	Signals     int64   // how many there were
	Slope       float64 // share of the slope that comes from the data, the rest is the default
	Noise       float64 // the same of the noise
	Information float64 // b²/v in units of an owner rating's
	Note        string  // what was clamped or could not be used, empty when nothing
}

// Calibrate learns the loadings from the moments of many agents.
//
// With c(·,·) the covariance over sessions that have both, and the engagement as
// the instrument that does not share the noise of judgements,
//
//	b_thumb = c(thumb,eng)/c(rating,eng)       b_eng = c(thumb,eng)/c(rating,thumb)
//	b_m = c(m,eng)/c(rating,eng) for guests and reviews
//	b_m = c(m,thumb)/c(rating,thumb) for replies and other behaviour; a mark
//	      is 0 where it is not, see Marked
//	var s = c(rating,thumb)·c(rating,eng)/c(thumb,eng)
//	v_m = max(Var m − b_m² var s, .15 Var m)   a_m = mean m − b_m · mean rating
//
// each drawn to the default as if that had been seen 60 times. An estimate counts as
// its n sessions, but as no more than 60·(.3/e)², where e is its standard error
// relative to the default: little data and weak instruments leave the defaults. Slopes
// stay within .1 to 3 times the default, of what detectors find up to .5. A source whose instrument is not surely
// (three standard errors) above zero keeps its default; the report says so.
//
// Fewer than 40 owner ratings or 40 owner thumbs give the defaults without an error.
// ErrMoments, with the defaults: the covariances of rating, thumb and engagement are
// not all surely positive, or a variance is not. Source: instrumental variables for
// errors in the regressor (Fuller 1987, Measurement Error Models, 1.4 and 2.4).
func Calibrate(m *Moments) (*Loadings, *Calibration, error) {
	report := &Calibration{}
	for s := range report.Sources {
		report.Sources[s] = Calibrated{Signals: m.one[s].n, Information: defaults.information(Source(s)), Note: "the default"}
	}
	if r, t := m.one[OwnerRating].n, m.one[OwnerThumb].n; r < leastEach || t < leastEach {
		return Defaults(), report, nil
	}
	c := calibrator{m: m, loadings: defaults}
	if err := c.anchor(); err != nil {
		return Defaults(), report, err
	}
	for s := range NSources {
		report.Sources[s].Note = c.source(s, &report.Sources[s])
	}
	report.Owner = c.varS.of
	for s := range report.Sources {
		report.Sources[s].Information = c.loadings.information(Source(s))
	}
	return &c.loadings, report, nil
}

// information of a source is b²/v in units of an owner rating's.
func (l *Loadings) information(s Source) float64 {
	return float64(l[s].B*l[s].B) / l[s].V * l[OwnerRating].V
}

// estimate is a number, its squared standard error, and the sessions it is from.
type estimate struct{ of, error2, n float64 }

// over is the ratio of two independent estimates (delta method).
func (e estimate) over(o estimate) estimate {
	r := e.of / o.of
	return estimate{r, (e.error2 + float64(float64(r*r)*o.error2)) / float64(o.of*o.of), min(e.n, o.n)}
}

func (e estimate) surelyPositive() bool {
	return e.of > 0 && float64(e.of*e.of) > surely*surely*e.error2
}

// towards draws an estimate to a default, and gives the share of the data.
func (e estimate) towards(def float64) (of, share float64) {
	n := e.n
	if relative2 := e.error2 / float64(def*def); float64(n*relative2) > pseudo*fairError*fairError {
		n = pseudo * fairError * fairError / relative2
	}
	share = n / (n + pseudo)
	return def + float64(share*(e.of-def)), share
}

type calibrator struct {
	m                      *Moments
	loadings               Loadings
	ratingEng, ratingThumb estimate
	thumbEng               estimate
	varS                   estimate
	meanRating             float64
}

// covariance of two sources with its standard error, as for normal values.
func (c *calibrator) covariance(a, b Source) estimate {
	cov, n := c.m.covariance(a, b)
	if n < 2 {
		return estimate{}
	}
	va, vb := c.m.one[a].variance(), c.m.one[b].variance()
	return estimate{cov, (float64(va*vb) + float64(cov*cov)) / n, n}
}

// anchor finds what all sources are measured by.
func (c *calibrator) anchor() error {
	for _, s := range [...]Source{OwnerRating, OwnerThumb, Engagement} {
		if o := &c.m.one[s]; o.n < leastEach || !(o.variance() > 0) {
			return fmt.Errorf("%w: the %d signals of source %d do not vary", ErrMoments, o.n, s)
		}
	}
	c.ratingEng = c.covariance(OwnerRating, Engagement)
	c.ratingThumb = c.covariance(OwnerRating, OwnerThumb)
	c.thumbEng = c.covariance(OwnerThumb, Engagement)
	for _, x := range [...]struct {
		what string
		e    estimate
	}{{"rating and engagement", c.ratingEng}, {"rating and thumb", c.ratingThumb}, {"thumb and engagement", c.thumbEng}} {
		if !x.e.surelyPositive() {
			return fmt.Errorf("%w: the covariance of %s is %.2g ± %.2g in %.0f sessions, not surely above 0",
				ErrMoments, x.what, x.e.of, math.Sqrt(x.e.error2), x.e.n)
		}
	}
	part, whole := c.ratingEng.over(c.thumbEng), c.ratingThumb
	c.varS = estimate{
		of:     float64(whole.of * part.of),
		error2: float64(float64(whole.of*whole.of)*part.error2) + float64(float64(part.of*part.of)*whole.error2),
		n:      min(part.n, whole.n),
	}
	c.meanRating = c.m.one[OwnerRating].mean()
	return nil
}

// source fills one loading and the shares of the report; it gives the note.
func (c *calibrator) source(s Source, report *Calibrated) (note string) {
	o, l := &c.m.one[s], &c.loadings[s]
	if o.n == 0 {
		return "never seen: the default"
	}
	slope, ok := c.slope(s)
	if !ok {
		return "too few sessions with its instrument: the default"
	}
	if s != OwnerRating {
		low, high := slopeLow*l.B, slopeHigh*l.B
		if s > Behaviour {
			high = slopeMost
		}
		if slope.of < low || slope.of > high {
			note = fmt.Sprintf("its slope would be %.3g, clamped to [%.3g, %.3g]", slope.of, low, high)
			slope.of = min(max(slope.of, low), high)
		}
		l.B, report.Slope = slope.towards(l.B)
	}
	// with the slope that is used, so that b, v and a belong together
	variance, b2 := o.variance(), float64(l.B*l.B)
	noise := estimate{variance - float64(b2*c.varS.of), float64(2*variance*variance)/float64(o.n) + float64(float64(b2*b2)*c.varS.error2), float64(o.n)}
	if low := noiseLow * variance; noise.of < low {
		if s == OwnerRating || noise.of < 0 {
			note = join(note, fmt.Sprintf("its noise would be %.3g, clamped to %.3g", noise.of, low))
		}
		noise.of = low
	}
	l.V, report.Noise = noise.towards(l.V)
	if s != OwnerRating {
		share := float64(o.n) / (float64(o.n) + pseudo)
		l.A += float64(share * (o.mean() - float64(l.B*c.meanRating) - l.A))
	}
	return note
}

// slope estimates b; false when there is nothing to estimate it from.
func (c *calibrator) slope(s Source) (estimate, bool) {
	switch s {
	case OwnerRating:
		return estimate{of: 1}, true
	case OwnerThumb:
		return c.thumbEng.over(c.ratingEng), true
	case Engagement:
		return c.thumbEng.over(c.ratingThumb), true
	case Guest, Review:
		e := c.covariance(s, Engagement)
		return e.over(c.ratingEng), e.n > 1
	}
	e := c.covariance(s, OwnerThumb)
	return e.over(c.ratingThumb), e.n > 1
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// loadingsVersion is of the encoding and of the set of sources.
const loadingsVersion = 2

// LoadingsSize is the length of encoded Loadings in bytes.
const LoadingsSize = 1 + 8*3*int(NSources)

// Append encodes the loadings: a version byte, then A, B, V of each source as
// little-endian float64.
func (l *Loadings) Append(b []byte) []byte {
	b = append(b, loadingsVersion)
	for i := range l {
		for _, v := range [...]float64{l[i].A, l[i].B, l[i].V} {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b
}

// Read decodes loadings from the first LoadingsSize bytes; false when there are fewer,
// when they have another version, or when they are none: a number is not finite, a
// slope is not in (0, 10], a noise not in (0, 100]. Then l stays as it was.
func (l *Loadings) Read(b []byte) bool {
	if len(b) < LoadingsSize || b[0] != loadingsVersion {
		return false
	}
	var n Loadings
	b = b[1:]
	for i := range n {
		for _, p := range [...]*float64{&n[i].A, &n[i].B, &n[i].V} {
			*p, b = math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:]
		}
		if !(math.Abs(n[i].A) <= 10 && n[i].B > 0 && n[i].B <= 10 && n[i].V > 0 && n[i].V <= 100) {
			return false
		}
	}
	*l = n
	return true
}
