package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rapport/chat/textsignal"
)

// sentimentBench compares the sentiment of a text with what people said of it, and
// the variance that it states with the one it has: of the value around the line
// through the people's means.
func sentimentBench(context.Context) (metrics, error) {
	m := metrics{"foreign_read_as_english": foreignRead()}
	for _, set := range []struct{ key, file string }{{"tweets", "tweets_GroundTruth.txt"}, {"amazon", "amazonReviewSnippets_GroundTruth.txt"}} {
		people, ours, err := readSentiments(set.file)
		if err != nil {
			return nil, err
		}
		values := make([]float64, len(ours))
		unknown := 0.0
		for i, s := range ours {
			values[i] = s.Value
			unknown += indicator(!s.Known)
		}
		r, half := pearson(values, people)
		m["pearson_"+set.key], m["pearson_"+set.key+"_ci95"] = r, half
		m["texts_"+set.key], m["unknown_share_"+set.key] = len(ours), rounded(unknown/float64(len(ours)), 4)
		offset, slope := line(people, values)
		squares, n := map[string]float64{}, map[string]float64{}
		for i, s := range ours {
			key := fmt.Sprintf("stated %.3f", s.Variance)
			e := values[i] - offset - slope*people[i]
			squares[key], n[key] = squares[key]+e*e, n[key]+1
		}
		spread := map[string]any{}
		for _, key := range sortedKeys(n) {
			spread[key] = fmt.Sprintf("measured %.3f on %.0f", squares[key]/n[key], n[key])
		}
		m["variance_"+set.key] = spread
	}
	return m, nil
}

func readSentiments(file string) (people []float64, ours []textsignal.Sentiment, err error) {
	f, err := os.Open(filepath.Join(dataDir(), "vader", file))
	if err != nil {
		return nil, nil, errNoData
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		part := strings.SplitN(lines.Text(), "\t", 3)
		if len(part) < 3 {
			continue
		}
		v, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		people, ours = append(people, v), append(ours, textsignal.SentimentOf(part[2]))
	}
	return people, ours, lines.Err()
}

// foreign are sentences in other languages that hold words of the English lexicon,
// or nothing that it knows.
var foreign = []string{
	"Die Frau war in der Hölle, das ist kein Gift", "Ich finde das gut, aber die Bad-Fliesen sind alt", "Wie geht es dir heute?", "Das ist super, danke!",
	"No me gusta nada", "¿Qué hora es?", "Esto es fatal, no hay más", "Me encanta, muchas gracias", "El hotel era horrible",
	"Bu harika bir gün", "Çok kötü, beğenmedim", "Ne zaman geliyorsun?", "Bugün hava çok güzel", "harika",
	"هذا رائع جدا", "لا أحب هذا", "كيف حالك اليوم؟",
	"我非常喜欢这个", "太糟糕了！", "你好吗？", "これは最高です", "오늘 정말 행복해요", "Это ужасно", "C'est vraiment super, merci", "Je suis triste", "Non mi piace per niente",
	"To jest bardzo dobre", "Det här är inte bra", "Saya tidak suka ini", "Isso é muito bom, obrigado", "Dat is niet leuk",
}

// foreignRead is the share of them of which something is said.
func foreignRead() float64 {
	n := 0.0
	for _, text := range foreign {
		if s := textsignal.SentimentOf(text); s.Known {
			n++
			fmt.Fprintf(os.Stderr, "read as English: %q %+.3f\n", text, s.Value)
		}
	}
	return rounded(n/float64(len(foreign)), 4)
}

// pearson is the correlation of two lists with half the width of its 95 % interval
// (Fisher's z).
func pearson(a, b []float64) (r, half float64) {
	var x, y, xx, yy, xy float64
	n := float64(len(a))
	for i := range a {
		x, y = x+a[i], y+b[i]
	}
	for i := range a {
		u, v := a[i]-x/n, b[i]-y/n
		xx, yy, xy = xx+u*u, yy+v*v, xy+u*v
	}
	r = xy / math.Sqrt(xx*yy)
	z, d := math.Atanh(r), 1.96/math.Sqrt(n-3)
	return r, (math.Tanh(z+d) - math.Tanh(z-d)) / 2
}

// line is the least-squares line of b over a.
func line(a, b []float64) (offset, slope float64) {
	var x, y, xx, xy float64
	n := float64(len(a))
	for i := range a {
		x, y, xx, xy = x+a[i], y+b[i], xx+a[i]*a[i], xy+a[i]*b[i]
	}
	slope = (xy - x*y/n) / (xx - x*x/n)
	return (y - slope*x) / n, slope
}
