//! Columns of encoded images in Parquet and Arrow files, written here as Hugging Face's `datasets`
//! writes them.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::support::page::{commands, words};
use crate::support::{TestDir, face_bytes};

/// A row: bytes, path and label.
type Row = (Option<Vec<u8>>, Option<&'static str>, i64);

fn rows() -> Vec<Row> {
    vec![
        (Some(face_bytes("blur-3.png")), Some("b.png"), 3),
        (Some(face_bytes("jpeg-1.jpg")), None, 4),
        (None, Some("elsewhere.png"), 5),
        (Some(b"no image".to_vec()), Some("../../up.png"), 6),
        (Some(face_bytes("turn-1.png")), Some(""), 7),
    ]
}

/// Names and outcomes of these rows in a table.
fn expected(table: &str) -> Vec<[String; 2]> {
    let rows = [
        ("/b.png", "ok"),
        ("#1", "ok"),
        ("/elsewhere.png", "unreadable"),
        ("/../../up.png", "not-an-image"),
        ("#4", "ok"),
    ];
    rows.map(|(row, status)| [format!("{table}{row}"), status.to_owned()]).into()
}

/// A Parquet file with the columns `label` and `image` (a struct), in row groups of this size.
fn parquet(rows: &[Row], group: usize, compression: Compression) -> Vec<u8> {
    let schema = "message schema {
        optional int64 label;
        optional group image { optional binary bytes; optional binary path (UTF8); }
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(compression);
    // Several pages per group.
    let properties = properties.set_data_page_row_count_limit(2).set_write_batch_size(1).build();
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(group) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let labels: Vec<i64> = rows.iter().map(|row| row.2).collect();
        column
            .typed::<Int64Type>()
            .write_batch(&labels, Some(&vec![1; labels.len()]), None)
            .unwrap();
        column.close().unwrap();
        let texts = rows.iter().map(|row| row.1.map(|path| path.as_bytes().to_vec()));
        for cells in [rows.iter().map(|row| row.0.clone()).collect(), texts.collect::<Vec<_>>()] {
            let levels: Vec<i16> = cells.iter().map(|cell| 1 + i16::from(cell.is_some())).collect();
            let values: Vec<ByteArray> = cells.into_iter().flatten().map(ByteArray::from).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    file
}

/// The same rows as an Arrow table, in batches of two rows.
fn arrow(rows: &[Row], as_stream: bool) -> Vec<u8> {
    arrow_of("image", rows, as_stream)
}

fn arrow_of(column: &str, rows: &[Row], as_stream: bool) -> Vec<u8> {
    let fields = Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ]);
    let schema = Arc::new(Schema::new(vec![
        Field::new("label", DataType::Int64, true),
        Field::new(column, DataType::Struct(fields.clone()), true),
    ]));
    let batches = rows.chunks(2).map(|rows| {
        let bytes: BinaryArray = rows.iter().map(|row| row.0.as_deref()).collect();
        let paths: StringArray = rows.iter().map(|row| row.1).collect();
        let labels: Int64Array = rows.iter().map(|row| Some(row.2)).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(bytes), Arc::new(paths)];
        let image = StructArray::new(fields.clone(), columns, None);
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(labels), Arc::new(image)]).unwrap()
    });
    let mut file = Vec::new();
    if as_stream {
        let mut writer = StreamWriter::try_new(&mut file, &schema).unwrap();
        batches.for_each(|batch| writer.write(&batch).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = FileWriter::try_new(&mut file, &schema).unwrap();
        batches.for_each(|batch| writer.write(&batch).unwrap());
        writer.finish().unwrap();
    }
    file
}

#[track_caller]
fn assert_rows(here: &TestDir, args: &[&str], expected: &[[String; 2]]) {
    let ran = here.run(&[&["score", "--aligned"], args].concat()).ended_with(1);
    let table = ran.table();
    let found = table.outcomes();
    let found: Vec<_> =
        found.iter().map(|[path, status, _]| [(*path).to_owned(), (*status).to_owned()]).collect();
    assert_eq!(found, expected);
}

#[test]
fn parquet_and_arrow_yield_the_same_rows() {
    let here = TestDir::new();
    here.face("blur-3.png", "b.png");
    let snappy = Compression::SNAPPY;
    here.write("one.parquet", parquet(&rows(), 10, snappy));
    here.write("t-0.parquet", parquet(&rows(), 2, Compression::ZSTD(Default::default())));
    here.write("t-1.parquet", parquet(&rows(), 1, Compression::UNCOMPRESSED));
    here.write("file.arrow", arrow(&rows(), false));
    here.write("stream.ARROW", arrow(&rows(), true));
    for name in ["one.parquet", "file.arrow", "stream.ARROW"] {
        assert_rows(&here, &[name], &expected(name));
    }
    let both = [expected("t-0.parquet"), expected("t-1.parquet")].concat();
    for pattern in ["t-*.parquet", "t-{0..1}.parquet"] {
        assert_rows(&here, &[pattern], &both);
    }
    let scores = here.run(&["score", "--aligned", "b.png", "file.arrow"]).ended_with(1).table();
    let scores = scores.column("score");
    assert_eq!(scores[0], scores[1], "the same face has the same score");

    let ran = here.run(&["score", "--aligned", "one.parquet", "--max-bytes", "20"]).ended_with(1);
    assert_eq!(ran.table().column("status")[0], "too-large");
}

#[test]
fn column_option_selects_images_or_lists_known_columns() {
    let here = TestDir::new();
    let schema = parse_message_type("message m { required binary photo; required int64 id; }");
    let mut file = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut file, Arc::new(schema.unwrap()), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let faces = ["blur-3.png", "jpeg-1.jpg"].map(|face| ByteArray::from(face_bytes(face)));
    column.typed::<ByteArrayType>().write_batch(&faces, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    here.write("p.parquet", file);
    here.write("a.arrow", arrow(&rows(), true));

    let ran = here.run(&["score", "--aligned", "p.parquet", "--column", "photo"]).ended_with(0);
    assert_eq!(ran.table().column("path"), ["p.parquet#0", "p.parquet#1"]);
    let nested = ["score", "--aligned", "a.arrow", "--column", "image.bytes"];
    assert_eq!(here.run(&nested).ended_with(1).table().column("path")[0], "a.arrow#0");

    here.run(&["score", "p.parquet"]).refused(
        "p.parquet: the table has no column of encoded images 'image'; its columns are 'photo', \
         'id' (--column names another)",
    );
    here.run(&["score", "*.parquet"]).refused_with("its columns are 'photo', 'id'");
    here.run(&["score", "p.parquet", "--column", "id"]).refused_with("'id': it is of type INT64");
    here.run(&["score", "a.arrow", "--column", "x"]).refused_with("are 'label', 'image'");
    here.run(&["score", "a.arrow", "--column", "label"])
        .refused_with("'label': it is of type Int64");
}

#[test]
fn damaged_tables_fail_without_stopping_the_run() {
    let here = TestDir::new();
    here.face("blur-3.png", "b.png");
    let whole = [
        ("p.parquet", parquet(&rows(), 2, Compression::SNAPPY)),
        ("f.arrow", arrow(&rows(), false)),
        ("s.arrow", arrow(&rows(), true)),
    ];
    for (name, bytes) in &whole {
        for length in [0, 3, bytes.len() / 2, bytes.len() - 9] {
            here.write(name, &bytes[..length]);
            let ran = here.run(&["score", "--aligned", name, "b.png"]).ended_with(1);
            let table = ran.table();
            let outcomes = table.outcomes();
            let [path, status, message] = outcomes[outcomes.len() - 2];
            assert_eq!([path, status], [*name, "broken-archive"], "{name} cut at {length}");
            assert!(message.contains("download it again"), "{message}");
            assert_eq!(outcomes.last().unwrap()[..2], ["b.png", "ok"]);
        }
    }
    // Wrong bytes anywhere.
    for (name, bytes) in &whole {
        let mut changed = bytes.clone();
        for at in (0..bytes.len()).step_by(97) {
            changed[at] ^= 0x55;
        }
        here.write(name, changed);
        let ran = here.run(&["detect", name, "b.png"]);
        assert!(matches!(ran.status, Some(1)), "{name}: {}", ran.stderr);
    }
    let ran = here.run(&["score", "gone.parquet", "b.png", "--aligned"]).ended_with(1);
    assert_eq!(ran.table().outcomes()[0], ["gone.parquet", "not-found", "no such file"]);
}

/// The commands of `docs/inputs.md` that need no network.
#[test]
fn documented_input_commands_work() {
    let here = TestDir::new();
    let face = face_bytes("blur-3.png");
    for shard in ["shards/data-000.tar", "shards/data-001.tar"] {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in [("000.png", &face[..]), ("000.cls", b"5"), ("000.json", b"{}")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes).unwrap();
        }
        here.write(shard, builder.into_inner().unwrap());
    }
    let good = [rows()[0].clone(), rows()[1].clone()];
    here.write("tables/faces.parquet", parquet(&good, 2, Compression::SNAPPY));
    here.write("tables/faces.arrow", arrow_of("photo", &good, true));
    let mut record = 0xced7_230a_u32.to_le_bytes().to_vec();
    record.extend_from_slice(&(24 + face.len() as u32).to_le_bytes());
    record.extend_from_slice(&[0; 24]);
    record.extend_from_slice(&face);
    record.resize(record.len().next_multiple_of(4), 0);
    here.write("records/train.rec", record);

    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/inputs.md");
    let page = std::fs::read_to_string(page).unwrap();
    let commands = commands(&page);
    assert_eq!(commands.len(), 4);
    for command in commands {
        let command = words(command.strip_prefix("attn-fiqa ").unwrap());
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        here.run(&command).ended_with(0);
        assert!(here.read_text("scores.csv").lines().count() > 1, "{command:?}");
    }
}

#[cfg(not(feature = "remote"))]
#[test]
fn urls_are_rejected_without_remote_feature() {
    let here = TestDir::new();
    here.face("blur-3.png", "b.png");
    for url in ["s3://bucket/a.jpg", "HTTPS://host.example/{a,b}.tar"] {
        here.run(&["score", url]).refused_with("was built without the feature 'remote'");
    }
    here.write("list.txt", "https://host.example/a.jpg\nb.png\n");
    let ran = here.run(&["score", "--aligned", "--list", "list.txt"]).ended_with(1);
    assert_eq!(ran.table().column("status"), ["unreadable", "ok"]);
}
