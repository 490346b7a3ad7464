//! Parquet files, read back row by row.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use crate::support::{self, MISSING, TestDir, WRONG_SIZE, wide_image};

fn rows(here: &TestDir, file: &str) -> Vec<Vec<(String, Field)>> {
    let reader = SerializedFileReader::new(File::open(here.path(file)).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().into_columns()).collect()
}

fn text(text: &str) -> Field {
    Field::Str(text.to_owned())
}

fn list(field: &Field) -> Vec<f32> {
    let Field::ListInternal(list) = field else { panic!("no list: {field:?}") };
    let number = |field: &Field| match field {
        Field::Float(value) => *value,
        other => panic!("no number: {other:?}"),
    };
    list.elements().iter().map(number).collect()
}

const IMAGES: [&str; 4] = ["astronaut.png", "wide.png", "gone.png", "jpeg-2.jpg"];

fn test_dir() -> TestDir {
    let here = TestDir::with_faces(&["astronaut.png", "jpeg-2.jpg"]);
    here.write("wide.png", wide_image());
    here
}

#[test]
fn parquet_metadata_records_model_and_precision() {
    let here = test_dir();
    let args = ["score", "astronaut.png", "--precision", "int8", "--output", "scores.parquet"];
    here.run(&args).ended_with(0);
    let reader = SerializedFileReader::new(File::open(here.path("scores.parquet")).unwrap());
    let reader = reader.unwrap();
    let about = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let value = |key: &str| about.iter().find(|entry| entry.key == key).unwrap().value.clone();
    assert_eq!(value("attn_fiqa.precision").as_deref(), Some("int8"));
    assert!(value("attn_fiqa.instruction_set").is_some());
    assert_eq!(value("attn_fiqa.model").as_deref(), Some("built-in attn-fiqa-t"));
}

#[test]
fn parquet_columns_round_trip_with_nulls_for_failures() {
    let here = test_dir();
    let args = [
        &["score", "--aligned", "--columns", "size,map,embedding", "--method", "attn,attn-max"],
        &IMAGES[..],
    ]
    .concat();
    let expected = here.run(&args).ended_with(1).table();
    let ran = here.run(&[&args[..], &["--output", "scores.parquet"]].concat()).ended_with(1);
    assert_eq!(ran.stdout(), "");

    let rows = rows(&here, "scores.parquet");
    assert_eq!(rows.len(), IMAGES.len());
    for (row, cells) in rows.iter().zip(&expected.rows) {
        let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected.heading);
        let fields: Vec<&Field> = row.iter().map(|(_, field)| field).collect();
        for index in [0, 1, 9] {
            assert_eq!(*fields[index], text(&cells[index]));
        }
        for index in [2, 4] {
            let score = cells[index].parse().map_or(Field::Null, Field::Float);
            assert_eq!(*fields[index], score, "{}", names[index]);
        }
        for index in [3, 5, 6] {
            let pixels = cells[index].parse().map_or(Field::Null, Field::Int);
            assert_eq!(*fields[index], pixels, "{}", names[index]);
        }
        for index in [7, 8] {
            match cells[index].as_str() {
                "" => assert_eq!(*fields[index], Field::Null, "{}", names[index]),
                numbers => assert_eq!(list(fields[index]), support::numbers(numbers)),
            }
        }
    }
    assert_eq!((&rows[1][1].1, &rows[1][9].1), (&text("wrong-size"), &text(WRONG_SIZE)));
    assert_eq!((&rows[1][2].1, &rows[1][5].1), (&Field::Null, &Field::Int(512)));
    assert_eq!((&rows[2][1].1, &rows[2][9].1), (&text("not-found"), &text(MISSING)));
}

#[test]
fn piped_parquet_matches_file() {
    let here = test_dir();
    let args = [&["score", "--aligned", "--format", "parquet"], &IMAGES[..]].concat();
    let piped = here.run(&args).ended_with(1);
    here.run(&[&args[..], &["-o", "scores.bin"]].concat()).ended_with(1);
    assert_eq!(piped.bytes, here.read("scores.bin"));
    assert_eq!(rows(&here, "scores.bin").len(), IMAGES.len());
}

#[test]
fn causes_round_trip_as_parquet_lists() {
    let here = TestDir::with_faces(&["astronaut.png", "dark-5.png"]);
    let args = ["score", "--aligned", "astronaut.png", "dark-5.png", "gone.png", "--columns"];
    let args = [&args[..], &["causes,weak_regions"]].concat();
    let expected = here.run(&args).ended_with(1).table();
    here.run(&[&args[..], &["--output", "scores.parquet"]].concat()).ended_with(1);
    let rows = rows(&here, "scores.parquet");
    let cell = |row: usize, name: &str| {
        rows[row].iter().find(|(column, _)| column == name).unwrap().1.clone()
    };
    let words = |field: &Field| -> String {
        let Field::ListInternal(list) = field else { panic!("no list: {field:?}") };
        let one = |field: &Field| match field {
            Field::Str(word) => word.clone(),
            Field::Group(cause) => {
                let parts: Vec<&Field> = cause.get_column_iter().map(|(_, field)| field).collect();
                let [Field::Str(name), Field::Float(strength), Field::Float(_)] = parts[..] else {
                    panic!("{parts:?}")
                };
                format!("{name}:{strength:.2}")
            }
            other => panic!("{other:?}"),
        };
        list.elements().iter().map(one).collect::<Vec<_>>().join(" ")
    };
    for row in 0..2 {
        for name in ["causes", "weak_regions"] {
            assert_eq!(words(&cell(row, name)), expected.column(name)[row]);
        }
    }
    assert!(!expected.column("causes")[1].is_empty());
    assert_eq!((cell(2, "causes"), cell(2, "weak_regions")), (Field::Null, Field::Null));
}
