package kafka_test

import (
	"context"
	"testing"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/eventlogtest"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
)

func TestContractOnRealBroker(t *testing.T) {
	t.Parallel()
	b := kafkatest.Real(t)
	eventlogtest.Run(t, func(testing.TB) eventlogtest.Place {
		o := b.Options()
		return func(ctx context.Context) (eventlog.Log, error) { return kafka.Open(ctx, o) }
	})
}
