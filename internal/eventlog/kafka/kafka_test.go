package kafka_test

import (
	"context"
	"testing"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/eventlogtest"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	eventlogtest.Run(t, func(t testing.TB) eventlogtest.Place {
		c := kafkatest.New(t)
		return func(ctx context.Context) (eventlog.Log, error) { return kafka.Open(ctx, c.Options()) }
	})
}
