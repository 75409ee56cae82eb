// A table whose rows lie in the heap: they are read from a CSV file once, before anything is
// measured, and then handed out again and again, with event time moved on from pass to pass.
// Columns that a query does not read are left out (projection push-down).

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.legacy.table.connector.source.SourceFunctionProvider;
import org.apache.flink.streaming.api.functions.source.legacy.SourceFunction;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.abilities.SupportsProjectionPushDown;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;

public class ReplayFactory implements DynamicTableSourceFactory {
    static final ConfigOption<String> PATH = ConfigOptions.key("path").stringType().noDefaultValue();
    static final ConfigOption<Integer> PASSES = ConfigOptions.key("passes").intType().defaultValue(1);

    @Override
    public String factoryIdentifier() {
        return "replay";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(PATH);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(PASSES);
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        String path = helper.getOptions().get(PATH);
        DataType type = context.getPhysicalRowDataType();
        int[] columns = new int[DataType.getFieldCount(type)];
        Arrays.setAll(columns, column -> column);
        return new Replay(path, helper.getOptions().get(PASSES), type, columns);
    }

    static class Replay implements ScanTableSource, SupportsProjectionPushDown {
        private final String path;
        private final int passes;
        private final DataType type;
        private int[] columns;

        Replay(String path, int passes, DataType type, int[] columns) {
            this.path = path;
            this.passes = passes;
            this.type = type;
            this.columns = columns;
        }

        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            LogicalTypeRoot[] roots = DataType.getFieldDataTypes(type).stream()
                .map(field -> field.getLogicalType().getTypeRoot()).toArray(LogicalTypeRoot[]::new);
            return SourceFunctionProvider.of(new ReplayFunction(path, passes, roots, columns), true);
        }

        @Override
        public boolean supportsNestedProjection() {
            return false;
        }

        @Override
        public void applyProjection(int[][] projected, DataType producedType) {
            columns = Arrays.stream(projected).mapToInt(column -> column[0]).toArray();
        }

        @Override
        public DynamicTableSource copy() {
            return new Replay(path, passes, type, columns);
        }

        @Override
        public String asSummaryString() {
            return "replay";
        }
    }

    static class ReplayFunction implements SourceFunction<RowData> {
        // By path and columns: a second job finds the rows of the first.
        private static final Map<String, RowData[]> ROWS = new HashMap<>();

        private final String path;
        private final int passes;
        private final LogicalTypeRoot[] types;
        private final int[] columns;
        private volatile boolean running = true;

        ReplayFunction(String path, int passes, LogicalTypeRoot[] types, int[] columns) {
            this.path = path;
            this.passes = passes;
            this.types = types;
            this.columns = columns;
        }

        @Override
        public void run(SourceContext<RowData> context) throws Exception {
            RowData[] rows;
            synchronized (ROWS) {
                String key = path + Arrays.toString(columns);
                if (!ROWS.containsKey(key)) {
                    ROWS.clear();
                    ROWS.put(key, read());
                }
                rows = ROWS.get(key);
            }
            int time = -1;
            for (int column = 0; column < columns.length; column++) {
                if (types[columns[column]] == LogicalTypeRoot.TIMESTAMP_WITHOUT_TIME_ZONE) {
                    time = column;
                }
            }
            long span = time < 0 || rows.length == 0 ? 0 : milliseconds(rows[rows.length - 1], time) - milliseconds(rows[0], time) + 1;
            Measure.begin();
            for (int pass = 0; pass < passes && running; pass++) {
                if (pass > 0 && time >= 0) {
                    for (RowData row : rows) {
                        ((GenericRowData) row).setField(time, TimestampData.fromEpochMillis(milliseconds(row, time) + span));
                    }
                }
                for (RowData row : rows) {
                    context.collect(row);
                }
            }
            Measure.read((long) rows.length * passes);
            if (time >= 0 && passes > 1) {
                for (RowData row : rows) {
                    ((GenericRowData) row).setField(time, TimestampData.fromEpochMillis(milliseconds(row, time) - span * (passes - 1)));
                }
            }
        }

        private static long milliseconds(RowData row, int column) {
            return row.getTimestamp(column, 3).getMillisecond();
        }

        private RowData[] read() throws Exception {
            try (var lines = Files.lines(Paths.get(path), StandardCharsets.UTF_8)) {
                return lines.map(this::row).toArray(RowData[]::new);
            }
        }

        // The files are our own: no field holds a comma or a quote.
        private RowData row(String line) {
            String[] fields = line.split(",", -1);
            GenericRowData row = new GenericRowData(columns.length);
            for (int column = 0; column < columns.length; column++) {
                row.setField(column, value(fields[columns[column]], types[columns[column]]));
            }
            return row;
        }

        private static Object value(String text, LogicalTypeRoot type) {
            switch (type) {
                case BIGINT:
                    return Long.parseLong(text);
                case DOUBLE:
                    return Double.parseDouble(text);
                case TIMESTAMP_WITHOUT_TIME_ZONE:
                    return TimestampData.fromTimestamp(java.sql.Timestamp.valueOf(text));
                default:
                    return StringData.fromBytes(text.getBytes(StandardCharsets.UTF_8));
            }
        }

        @Override
        public void cancel() {
            running = false;
        }
    }
}
