package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"

	"rapport/app/intake"
)

// importBench pours every dialogue file of the data directory in, from the file
// to the learner having everything, and once more to see that nothing changes.
func importBench(ctx context.Context) (metrics, error) {
	files, err := filepath.Glob(filepath.Join(dataDir(), "dbdc3", "*.jsonl.gz"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errNoData
	}
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	srv, err := startChild(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer srv.kill()
	quiet := func(string, int64, int64) {}
	first, err := intake.Import(ctx, srv.Client, files, quiet)
	if err != nil {
		return nil, err
	}
	again, err := intake.Import(ctx, srv.Client, files, quiet)
	if err != nil {
		return nil, err
	}
	var letters []any
	if err := srv.Do(ctx, http.MethodGet, "/v1/admin/dead-letters", nil, &letters); err != nil {
		return nil, err
	}
	return metrics{
		"labels_per_second": first.LabelsPerSecond, "seconds": first.Seconds, "conversations": first.Counts.Conversations,
		"messages": first.Counts.Messages, "labels": first.Counts.Labels, "bad_lines": first.Counts.Bad,
		"new_on_second_import": again.Fates["accepted"] + again.Fates["waiting"], "dead_letters": len(letters),
	}, nil
}

func dataDir() string {
	if d := os.Getenv("RAPPORT_DATA"); d != "" {
		return d
	}
	return filepath.Join("..", "shared", "data")
}
