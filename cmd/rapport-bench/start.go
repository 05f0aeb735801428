package main

import (
	"context"
	"net/http"
	"time"
)

// start measures an empty directory until the first request is served (the
// median of five processes), and what the product keeps in memory after the demo.
func start(ctx context.Context) (metrics, error) {
	var first []float64
	for range 5 {
		dir, clean, err := scratchDir()
		if err != nil {
			return nil, err
		}
		began := time.Now()
		srv, err := startChild(ctx, dir)
		if err == nil {
			err = srv.Do(ctx, http.MethodGet, "/healthz", nil, nil)
		}
		first = append(first, since(began))
		if srv != nil {
			srv.kill()
		}
		clean()
		if err != nil {
			return nil, err
		}
	}
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	began := time.Now()
	srv, err := startDemo(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer srv.kill()
	seconds := since(began)
	mb, err := srv.residentMB()
	if err != nil {
		return nil, err
	}
	return metrics{"first_page_s": quantile(first, .5), "resident_mb": mb, "demo_seconds": seconds}, nil
}
