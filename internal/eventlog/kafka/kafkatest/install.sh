#!/usr/bin/env bash
# Fetches Apache Kafka for the tests, about 40 MB, in the version that pom.xml
# names, into $RAPPORT_KAFKA_HOME or the cache of the person who runs it. Does
# nothing when it is there. Needs Java 17 or newer, and Maven to fetch it.
set -euo pipefail
cd "$(dirname "$0")"
dir=${RAPPORT_KAFKA_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/rapport-kafka}

if cmp -s pom.xml "$dir/pom.xml" || { [ ! -e "$dir/pom.xml" ] && ls "$dir"/libs/kafka_2.13-*.jar >/dev/null 2>&1; }; then
  exit 0 # the same version, or a Kafka that somebody else put there
fi
for tool in java mvn; do
  command -v $tool >/dev/null || { echo "$tool is not here: apt-get install default-jre-headless maven" >&2; exit 1; }
done
mkdir -p "$dir"
rm -rf "$dir/fetched"
mvn -q -B -ntp -f pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/fetched" >&2
rm -rf "$dir/libs" "$dir/pom.xml"
mv "$dir/fetched" "$dir/libs"
cp pom.xml "$dir"
