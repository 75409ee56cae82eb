// Runs one query into a blackhole, once to warm up and then several times, and prints a line of
// JSON for each timed run: rows read, and wall and CPU time of the whole process from the first row on.

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Paths;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.TableDescriptor;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;

public class Measure {
    private static final OperatingSystemMXBean SYSTEM =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static volatile long beganNs;
    private static volatile long beganCpuNs;
    private static volatile long rowsRead;

    static void begin() {
        beganCpuNs = SYSTEM.getProcessCpuTime();
        beganNs = System.nanoTime();
    }

    static void read(long rows) {
        rowsRead = rows;
    }

    // Arguments: the file of the table's declaration, the file of the query, warm-ups, timed runs.
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", "1");
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("table.exec.mini-batch.enabled", "true");
        configuration.setString("table.exec.mini-batch.allow-latency", "2s");
        configuration.setString("table.exec.mini-batch.size", "50000");
        configuration.setString("table.optimizer.distinct-agg.split.enabled", "true");
        configuration.setString("table.local-time-zone", "UTC");
        configuration.setString("taskmanager.memory.network.fraction", "0.1");
        EnvironmentSettings settings =
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build();
        TableEnvironment environment = TableEnvironment.create(settings);
        environment.executeSql(statement(arguments[0]));
        Table table = environment.sqlQuery(statement(arguments[1]));
        Schema.Builder schema = Schema.newBuilder();
        int index = 0;
        for (Column column : table.getResolvedSchema().getColumns()) {
            DataType type = column.getDataType();
            boolean time = type.getLogicalType().getTypeRoot() == LogicalTypeRoot.TIMESTAMP_WITHOUT_TIME_ZONE;
            schema.column("column" + index++, time ? DataTypes.TIMESTAMP(3) : type.nullable());
        }
        environment.createTemporaryTable("nowhere", TableDescriptor.forConnector("blackhole").schema(schema.build()).build());
        int warmUps = Integer.parseInt(arguments[2]);
        int runs = warmUps + Integer.parseInt(arguments[3]);
        for (int run = 0; run < runs; run++) {
            table.executeInsert("nowhere").await();
            double cpu = (SYSTEM.getProcessCpuTime() - beganCpuNs) / 1e9;
            double wall = (System.nanoTime() - beganNs) / 1e9;
            if (run >= warmUps) {
                System.out.println("{\"rows\": " + rowsRead + ", \"wall_s\": " + wall + ", \"cpu_s\": " + cpu + "}");
            }
        }
    }

    private static String statement(String path) throws Exception {
        String text = Files.readString(Paths.get(path)).strip();
        return text.endsWith(";") ? text.substring(0, text.length() - 1) : text;
    }
}
