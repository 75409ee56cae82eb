//! Golden events, the suite's proportions, and that nothing depends on who makes the events.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, TimestampMillisecondType};
use corelane_stream::SourceSpec;
use expect_test::{Expect, expect};
use hashbrown::HashMap;

use super::*;
use crate::format::encode::{JsonEncoding, TextEncoding};
use crate::testing::{read_all, table, with_position};

fn source(options: &[(&str, &str)]) -> Arc<dyn SourceSpec> {
    let source = NexmarkConnector.source(&table(&schema::full(), options)).expect("valid options");
    with_position(source.as_ref())
}

fn events(options: &[(&str, &str)]) -> RecordBatch {
    read_all(source(options).as_ref(), 1, 8_192)
}

fn json(rows: &RecordBatch) -> String {
    let mut out = String::new();
    TextEncoding::Json(JsonEncoding::default()).encode(rows, &mut out).expect("json takes every type");
    out
}

/// A field's values in the rows that are of its kind.
fn longs(rows: &RecordBatch, row: &str, field: &str) -> Vec<i64> {
    let array = rows.column_by_name(row).expect("a row type").as_struct().column_by_name(field).expect("a field");
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().iter().flatten().collect(),
        _ => array.as_primitive::<TimestampMillisecondType>().iter().flatten().collect(),
    }
}

fn texts(rows: &RecordBatch, row: &str, field: &str) -> Vec<String> {
    let array = rows.column_by_name(row).expect("a row type").as_struct().column_by_name(field).expect("a field");
    array.as_string_view().iter().flatten().map(str::to_owned).collect()
}

fn share<T>(values: &[T], of: impl Fn(&T) -> bool) -> f64 {
    values.iter().filter(|value| of(value)).count() as f64 / values.len() as f64
}

#[track_caller]
fn about(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not about {expected}");
}

#[test]
fn first_events() {
    expect![[r#"
        {"event_type":0,"person":{"id":1000,"name":"Saul Abrams","emailAddress":"mylttqb@hwohp.com","creditCard":"3372 9159 1764 2113","city":"Seattle","state":"CA","dateTime":"2015-07-15 00:00:00.000","extra":"xnbjekblkvewefjfcazcdurgdsixfjeadkchjtezetlxoxjlfsfgdiznqhauhyfljdgftlzznskryeclkalqprvojkyssyjzonzbokycpieanomtjazpumgpc"},"auction":null,"bid":null,"$position":0}
        {"event_type":1,"person":null,"auction":{"id":1000,"itemName":"cpktzlhferaqirarygwj","description":"uplrkwjpjtjbttgfdvcopihrjeebdiziglofusiyfepnhurukmmczzqxhxrqujcvrfdexnnclotbvipaabcdtlbloljfzuendkir","initialBid":7342,"reserve":46480,"dateTime":"2015-07-15 00:00:00.010","expires":"2015-07-15 00:00:31.152","seller":1005,"category":13,"extra":"klkswkcvqzdualjmxdvhmvgowcqgfudvzcextybnrilrckrixbfsguaaxbgawfziukypwtrtnfgpidswdmplwdfdyyulbqcmvhenvcjkiuerqiqtpvtnrqtcufcyhcegxvtoygubiqwtafcypbgojamwjzinknnqburkzdytdqolgtfrghkbyvrqvrhfliqcnujncjewavqoidxxhcaocbyvrmmogzqzynzubykrheafmrxeorzijjbwcyfysbecyfwhwtqhglvaanuoeepqjxpbvbpwbudcegktowkyxgauqdagdnlyztsbanrvsdgfaacbdpjyaroqkqbgxqgccrpsizotxtse"},"bid":null,"$position":1}
        {"event_type":1,"person":null,"auction":{"id":1001,"itemName":"lqznvczaowzhtwygxzxa","description":"wqqykkxivkrhkawdpitcwnitvoexrkgjmtfiaclaeuoaxqrtvargsricmeqvlxqjdpojtfewacjagnqisvduxwcuglvokdjrfeuv","initialBid":16072,"reserve":18941,"dateTime":"2015-07-15 00:00:00.020","expires":"2015-07-15 00:00:17.446","seller":1000,"category":14,"extra":"jjjbueczpuapnvsrgvfswcifzxbqwyfmexqacrrownqdcyqfiqmgopnuhundmtjrrsnwrbpximoqlmrwhbhxdcaswrbeloxarvgfvoihbqbwkyqimpzqioynvitbjjtwpuajyffptzygtsbzflwazrtlbrfedblqhmsrhrqcwkbkbhhjqulwdppsysfenlshexvdivsyhwcjonmoepgilfmkiuktpiaxmisphzwrannebqtcmxbdwvelnppbihrvusxrxeryooqjowvtykqjorcoszgxpdvakuutkpxiumylrfuuujqsgkicwjiywnjqcjsdfrhxmemodmocnzbhzlkgujvg"},"bid":null,"$position":2}
        {"event_type":1,"person":null,"auction":{"id":1002,"itemName":"jfzlefwcksvtcdpmnkwd","description":"uchsgwgsneiwzsxuoxuonemaoyfrcsmbjmmdilevmndglttgdoomkoeuwynaabtehakxgnqwipvakqteeujixmavcxkfwlfginll","initialBid":11036,"reserve":40594448,"dateTime":"2015-07-15 00:00:00.030","expires":"2015-07-15 00:00:05.615","seller":1000,"category":14,"extra":"dobauitizvztmqughntybdrskglaoflfwqfdovqjagesqyvhtigbyukiyphnhzyldgjxshnulayvejzdthbayscqrjkohujgyzpmekfezozsjsrafpfvsegnpefgytxuxxlrkadfwewufrpanifnlymhihxzyuxouogplnvufmvpopbbukgucqtlhzlwatbcrrnfgeenpvwksqaoghtqjhhssshswvxsrooclgseguffrpnfgffvjzrhozjcejtmgklcqqikhrjxmnclideqanuwuckthdchmixhnoehsdkhzgikpmriuetigadupejfinjotomwdhgjxnhvhzypasusehxewxnxiiizwgalobbpbpfgbiqzzpbkytbqyatrbpwnhbdb"},"bid":null,"$position":3}
        {"event_type":2,"person":null,"auction":null,"bid":{"auction":1000,"bidder":1001,"price":465045,"channel":"channel-8936","url":"https://www.nexmark.com/vfic/gzmg/hjjb/item.htm?query=1&channel_id=390332416","dateTime":"2015-07-15 00:00:00.040","extra":"nlmttbkcohvdbdmetjjcfluuzqlwmevnufkroufcvbzwdfokterlfivovlwkaoyecmbnqvoxzzet"},"$position":4}
        {"event_type":2,"person":null,"auction":null,"bid":{"auction":1012,"bidder":1001,"price":57866744,"channel":"channel-9987","url":"https://www.nexmark.com/v_x/evtc/zmc/item.htm?query=1&channel_id=1058799616","dateTime":"2015-07-15 00:00:00.050","extra":"ydvcpmicdgoxzijnguurzkduwjaizhajkkohsklbeatturrkkgqvabtbxyismwfgo"},"$position":5}
    "#]].assert_eq(&json(&events(&[
        ("events.num", "6"),
        ("first-event.rate", "100"),
        ("next-event.rate", "100"),
    ])));
}

#[test]
fn events_do_not_depend_on_workers_and_batches() {
    let options = [("events.num", "30000"), ("out-of-order.ms", "50"), ("seed", "7")];
    let spec = source(&options);
    let expected = read_all(spec.as_ref(), 1, 8_192);
    for (workers, batch_rows) in [(1, 1_000), (2, 8_192), (7, 777), (4, 65_536)] {
        assert_eq!(read_all(spec.as_ref(), workers, batch_rows), expected, "{workers} workers, {batch_rows} rows");
    }
}

#[test]
fn pruned_fields_are_the_same() {
    let spec = source(&[("events.num", "500")]);
    let full = read_all(spec.as_ref(), 1, 100);
    let asked = ["price", "auction", "extra"];
    let DataType::Struct(bid) = schema::full().field(3).data_type().clone() else { panic!("bid is a row") };
    let fields: Vec<_> = asked.iter().map(|name| bid.find(name).expect("a field of bid").1.clone()).collect();
    let pruned = Schema::new(vec![Field::new("bid", DataType::Struct(fields.into()), true)]);
    let pruned = with_position(spec.with_schema(Arc::new(pruned)).expect("a pruned copy").as_ref());
    let pruned = read_all(pruned.as_ref(), 3, 70);
    for name in asked {
        let field = |rows: &RecordBatch| rows["bid"].as_struct()[name].to_data();
        assert_eq!(field(&pruned), field(&full), "{name}");
    }
}

#[test]
fn proportions_of_the_suite() {
    let rows = events(&[("events.num", "100000"), ("first-event.rate", "1000"), ("next-event.rate", "1000")]);
    let kinds: Vec<i32> = rows["event_type"].as_primitive::<Int32Type>().values().to_vec();
    assert_eq!(kinds[..6], [0, 1, 1, 1, 2, 2]);
    for (kind, row, count) in [(0, "person", 2_000), (1, "auction", 6_000), (2, "bid", 92_000)] {
        assert_eq!(kinds.iter().filter(|other| **other == kind).count(), count);
        assert_eq!(rows[row].len() - rows[row].null_count(), count);
    }
    assert_eq!(longs(&rows, "person", "id"), (1_000..3_000).collect::<Vec<_>>());
    assert_eq!(longs(&rows, "auction", "id"), (1_000..7_000).collect::<Vec<_>>());
    about(share(&longs(&rows, "bid", "auction"), |id| id % 100 == 0), 0.505, 0.02);
    about(share(&longs(&rows, "bid", "bidder"), |id| id % 100 == 1), 0.7525, 0.02);
    about(share(&longs(&rows, "auction", "seller"), |id| id % 100 == 0), 0.7525, 0.03);
    about(share(&longs(&rows, "auction", "category"), |category| *category == 10), 0.2, 0.03);
    let prices = longs(&rows, "bid", "price");
    assert!(prices.iter().all(|price| (100..=100_000_000).contains(price)));
    about(share(&prices, |price| *price < 100_000), 0.5, 0.02);
    let channels = texts(&rows, "bid", "channel");
    about(share(&channels, |channel| !channel.starts_with("channel-")), 0.5, 0.02);
    let urls = texts(&rows, "bid", "url");
    about(share(&urls, |url| url.contains("&channel_id=")), 0.45, 0.02);
    let mut address = HashMap::new();
    for (channel, url) in channels.iter().zip(&urls) {
        assert_eq!(address.entry(channel).or_insert(url), &url, "a channel has one address");
    }
}

#[test]
fn sizes_and_times_of_the_suite() {
    let rows = events(&[("events.num", "100000"), ("first-event.rate", "100"), ("next-event.rate", "100")]);
    for (row, field, min, average, max) in [
        ("person", "name", 8, 11.4, 14),
        ("person", "emailAddress", 17, 17.0, 17),
        ("person", "creditCard", 19, 19.0, 19),
        ("person", "extra", 100, 135.5, 170),
        ("auction", "itemName", 20, 20.0, 20),
        ("auction", "description", 100, 100.0, 100),
        ("auction", "extra", 266, 331.5, 397),
        ("bid", "extra", 54, 67.5, 81),
        ("bid", "url", 52, 63.2, 77),
    ] {
        let lengths: Vec<usize> = texts(&rows, row, field).iter().map(String::len).collect();
        assert!(lengths.iter().all(|length| (min..=max).contains(length)), "{row}.{field}");
        about(lengths.iter().sum::<usize>() as f64 / lengths.len() as f64, average, 0.03 * average);
    }
    let times = longs(&rows, "auction", "dateTime");
    assert_eq!(times[..3], [1_436_918_400_010, 1_436_918_400_020, 1_436_918_400_030]);
    let open: Vec<i64> =
        longs(&rows, "auction", "expires").iter().zip(&times).map(|(end, start)| end - start).collect();
    assert!(open.iter().all(|ms| (1..=33_330).contains(ms)));
    about(open.iter().sum::<i64>() as f64 / open.len() as f64, 16_660.0, 500.0);
}

#[test]
fn out_of_order_times_are_bounded() {
    let rate = [("events.num", "5000"), ("first-event.rate", "100"), ("next-event.rate", "100")];
    let ordered = longs(&events(&rate), "bid", "dateTime");
    let shuffled = longs(&events(&[&rate[..], &[("out-of-order.ms", "1000")]].concat()), "bid", "dateTime");
    assert!(ordered.is_sorted() && !shuffled.is_sorted());
    assert!(ordered.iter().zip(&shuffled).all(|(place, time)| (0..=1_000).contains(&(time - place))));
    assert!(ordered.iter().zip(&shuffled).any(|(place, time)| time - place > 900));
}

#[test]
fn rates_alternate() {
    let options = [("events.num", "60"), ("first-event.rate", "10"), ("next-event.rate", "20"), ("rate.period", "2 s")];
    let rows = events(&[&options[..], &[("bid.proportion", "0"), ("base-time", "1970-01-01T00:00:00Z")]].concat());
    let mut times = longs(&rows, "person", "dateTime");
    times.extend(longs(&rows, "auction", "dateTime"));
    times.sort_unstable();
    assert_eq!(
        [times[0], times[9], times[10], times[11], times[29], times[30], times[31]],
        [0, 900, 1_000, 1_050, 1_950, 2_000, 2_100]
    );
}

fn refused(asked: Schema, options: &[(&str, &str)], expected: &Expect) {
    let error = NexmarkConnector.source(&table(&Arc::new(asked), options)).expect_err("it is wrong");
    expected.assert_eq(&format!("{error}; {}", error.hint().unwrap_or("no hint")));
}

#[test]
fn wrong_columns_and_options_are_refused() {
    let column = |name: &str, data_type| Schema::new(vec![Field::new(name, data_type, true)]);
    let row = |field: Field| DataType::Struct(vec![field].into());
    refused(column("bids", DataType::Int32), &[], &expect!["nexmark has no column 'bids'; did you mean 'bid'?"]);
    refused(
        column("bid", DataType::Int32),
        &[],
        &expect![
            "column 'bid' is declared as INT, but nexmark's is a ROW; leave the columns out: CREATE TABLE t WITH ('connector' = 'nexmark')"
        ],
    );
    refused(
        column("bid", row(Field::new("prices", DataType::Int64, true))),
        &[],
        &expect!["nexmark has no field 'bid.prices'; did you mean 'price'?"],
    );
    refused(
        column("bid", row(Field::new("price", DataType::Utf8View, true))),
        &[],
        &expect![
            "field 'bid.price' is declared as STRING, but nexmark's is BIGINT; leave the columns out: CREATE TABLE t WITH ('connector' = 'nexmark')"
        ],
    );
    refused(
        column("event_type", DataType::Int32),
        &[("first-event.rate", "0")],
        &expect!["option 'first-event.rate' has the value '0'; it takes a whole number from 1 to 1000000000000"],
    );
    refused(
        column("event_type", DataType::Int32),
        &[("base-time", "yesterday")],
        &expect![
            "option 'base-time' has the value 'yesterday'; it takes a time such as '2015-07-15 00:00:00' or '2015-07-15T00:00:00.000Z'"
        ],
    );
}
