// KafkaModel
